/** @module `rotation-plan --watch`: looks again until nothing is left to do, and prints what changed. */
import type { RotationStep } from "../../key/rotation/plan.ts";

export interface PlanState {
  /** Undefined when there is no registry yet, or OpenBao could not be asked. */
  readonly next: RotationStep | undefined;
  readonly line: string;
}

interface WatchOptions {
  readonly look: () => Promise<PlanState>;
  /** Rejects when the command is interrupted. */
  readonly sleep: () => Promise<void>;
  readonly print: (line: string) => void;
}

/** Ends when there is nothing to do, or with a problem that waiting does not solve. */
export async function watchPlan({ look, sleep, print }: WatchOptions): Promise<"good" | "refused"> {
  let shown: string | undefined;
  for (;;) {
    const { next, line } = await look();
    if (line !== shown) {
      print(line);
      shown = line;
    }
    if (next?.kind === "none") {
      return "good";
    }
    if (next?.kind === "blocked") {
      return "refused";
    }
    await sleep();
  }
}
