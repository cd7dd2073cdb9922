import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What must not outlive a run that failed. */
export interface Started {
  kill(): void;
}

/** Where one run leaves its files, and all that it started. */
export interface Place {
  readonly folder: string;
  /** Where the commit clock writes. */
  readonly commitsFile: string;
  /** Notes of those outside the program: in memory, so that they are not counted among the bytes written to the disk. */
  note(name: string): string;
  started<T extends Started>(one: T): T;
}

/** Empty directories for one run; they and everything that was started are gone afterwards. */
export async function inPlace<T>(profileFolder: string | undefined, run: (place: Place) => Promise<T>): Promise<T> {
  const notes = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "holdfast-bench-"));
  const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  if (profileFolder !== undefined) mkdirSync(profileFolder, { recursive: true });
  const all: Started[] = [];
  const note = (name: string): string => join(notes, name);
  const started = <One extends Started>(one: One): One => {
    all.push(one);
    return one;
  };
  try {
    return await run({ folder, commitsFile: note("commits"), note, started });
  } finally {
    for (const one of all) one.kill();
    rmSync(notes, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface Outside<Done> extends Started {
  readonly done: Promise<Done>;
  isDone(): boolean;
}

/** A process outside the program under test, which says in a line of JSON when it is done. */
export function startOutside<Done>(script: string, options: unknown): Outside<Done> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL(`./${script}.js`, import.meta.url)), JSON.stringify(options)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let last: Done | undefined;
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = JSON.parse(text) as Done & { event: string };
    if (line.event === "done") last = line;
  });
  let hasEnded = false;
  const done = once(child, "close").then(() => {
    hasEnded = true;
    if (last === undefined) throw new Error(`the ${script} failed`);
    return last;
  });
  // Nobody listens any more when the program under test failed first.
  done.catch(() => {});
  return { done, isDone: () => hasEnded || last !== undefined, kill: () => void child.kill("SIGKILL") };
}

export function folderBytes(folder: string): number {
  let sum = 0;
  for (const name of readdirSync(folder)) {
    const entry = statSync(join(folder, name));
    if (entry.isFile()) sum += entry.size;
  }
  return sum;
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);
