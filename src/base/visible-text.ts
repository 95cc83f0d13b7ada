/** @module Foreign text as visible characters: it cannot forge a line, move a cursor or turn text around. */

/** Control and format characters (bidirectional ones among them), line separators and lone surrogates. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

const ESCAPE = "\u001b";
const LINE_BREAK_OR_COLOUR = new RegExp(`(\\n|${ESCAPE}\\[[0-9]{1,2}m)`);

/** The text with each invisible character as `\uXXXX`; never more than one line. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, escaped);
}

/** The same for text that has lines of its own: line breaks stay, and colours of a terminal where they are wanted. */
export function visibleLines(text: string, hasColour: boolean): string {
  const kept = hasColour ? LINE_BREAK_OR_COLOUR : /(\n)/;
  return text
    .split(kept)
    .map((part, index) => (index % 2 === 1 ? part : visible(part)))
    .join("");
}

function escaped(character: string): string {
  let units = "";
  for (let index = 0; index < character.length; index += 1) {
    units += `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }
  return units;
}
