/** @module The code of an error of the provider. */
import { ProviderError } from "../../src/base/error-class.ts";

/** The code with which a promise is rejected, `ok` when it is not; what is not the provider's, as text. */
export function codeOf(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => "ok",
    (error: unknown) => (error instanceof ProviderError ? error.code : String(error)),
  );
}
