import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Latch, type LatchState } from "../../daemon/latch.ts";
import { createFirstLatch } from "../../daemon/latch-file.ts";
import type { LatchNote } from "../../daemon/latch-note.ts";
import { FakeControl } from "./control.ts";

const started: Latch[] = [];

export async function endAll(): Promise<void> {
  for (const latch of started.splice(0)) await latch.stop();
}

/** What a latch lives in, and what it told. */
export interface Site {
  readonly directory: string;
  readonly control: FakeControl;
  readonly told: LatchState[];
  readonly problems: string[];
  readonly recorded?: () => Promise<void>;
}

export function site(): Site {
  const directory = mkdtempSync(join(tmpdir(), "latch-"));
  createFirstLatch(directory, 1_790_000_000_000);
  return { directory, control: new FakeControl(), told: [], problems: [] };
}

export function build(at: Site): Latch {
  return new Latch({
    directory: at.directory,
    control: at.control,
    clock: { wallMs: () => 1_790_000_000_000 },
    onChange: (state) => at.told.push(state),
    onProblem: (problem) => at.problems.push(problem),
    ...(at.recorded === undefined ? {} : { recorded: at.recorded }),
  });
}

export async function begin(at: Site): Promise<Latch> {
  const latch = build(at);
  started.push(latch);
  await latch.start();
  return latch;
}

export function note(latched: boolean, nonce = "00112233445566aa"): LatchNote {
  return { latched, why: "by hand", by: "maria", at: 1, nonce };
}
