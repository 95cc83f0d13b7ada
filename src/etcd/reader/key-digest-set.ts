/** @module Which keys were met, in fixed memory: 128 bits of SHA-256 each, so that no one can choose two names that collide. */
const WORDS_PER_SLOT = 4;
const MAX_LOAD = 0.7;
const MAX_SLOTS = 2 ** 20;

/** The most keys that one set takes, in 16 MiB. */
export const MAX_KEYS_PER_SET = Math.floor(MAX_SLOTS * MAX_LOAD);

export type KeyDigestSet = ReturnType<typeof keyDigestSet>;

/** A set for at most `maxKeys` keys (at most MAX_KEYS_PER_SET), at first of the whole key space. */
export function keyDigestSet(maxKeys: number) {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(16, maxKeys / MAX_LOAD)));
  const table = new Uint32Array(slots * WORDS_PER_SLOT);
  const digest = new Uint8Array(32);
  const words = new Uint32Array(digest.buffer);
  let used = 0;
  let mine = 0;
  let all = 1;
  return {
    /** Empties the set and gives it those keys whose digest falls into `part` of `parts`. */
    restart: (part: number, parts: number): void => {
      mine = part;
      all = parts;
      used = 0;
      table.fill(0);
    },
    /** `not_mine`: the key belongs to another part of the key space. `full`: there is no room for it. */
    add: (key: Uint8Array): "new" | "seen" | "not_mine" | "full" => {
      Bun.SHA256.hash(key, digest);
      const [partWord = 0, slotWord = 0, second = 0, third = 0, last = 0] = words;
      if (partWord % all !== mine) {
        return "not_mine";
      }
      // A slot is empty when its first word is 0.
      const first = (slotWord | 1) >>> 0;
      for (let slot = slotWord; ; slot++) {
        const at = (slot & (slots - 1)) * WORDS_PER_SLOT;
        if (table[at] === 0) {
          if (used >= slots * MAX_LOAD) {
            return "full";
          }
          used += 1;
          table.set([first, second, third, last], at);
          return "new";
        }
        if (
          table[at] === first &&
          table[at + 1] === second &&
          table[at + 2] === third &&
          table[at + 3] === last
        ) {
          return "seen";
        }
      }
    },
  };
}
