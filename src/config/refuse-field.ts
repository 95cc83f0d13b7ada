/** @module Refuses a field because of what another field of its section says. */
import type * as v from "valibot";

interface TransformContext {
  readonly addIssue: (info: { readonly message: string; readonly path: [v.ObjectPathItem] }) => void;
  readonly NEVER: never;
}

export function refuseField<Section extends Readonly<Record<string, unknown>>>(
  { addIssue, NEVER }: TransformContext,
  section: Section,
  key: keyof Section & string,
  message = "is missing",
): never {
  addIssue({
    message,
    path: [{ type: "object", origin: "value", input: { ...section }, key, value: section[key] }],
  });
  return NEVER;
}
