import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { crashpoint } from "../crashpoint.ts";
import { syncFolder, writeDurably } from "../durable-file.ts";
import { StoreError } from "../store/errors.ts";
import { type StoreFiles, storeFiles } from "../store/files.ts";
import { lockDirectory } from "../store/lock.ts";
import type { Database } from "../store/sqlite-writer.ts";
import { BackupError } from "./errors.ts";
import { isOurs } from "./names.ts";
import { isUnsettled, JOURNAL, STAGED } from "./unsettled.ts";

const ASIDE = /^(?:before-restore|factory-reset)-\d{8}T\d{6}Z$/;

/** What is to be done with a data directory, all of it or nothing. */
export interface Swap {
  /** The folder in it to which goes what was there. */
  readonly aside: string;
  /** Names in the directory that go there. */
  readonly out: readonly string[];
  /** Paths below `restore.new/data` that take their places. */
  readonly in: readonly string[];
  /** What was there is deleted, not kept. */
  readonly drops: boolean;
}

export function stagedFolder(directory: string): string {
  return join(directory, STAGED);
}

/** An empty folder in which new files wait; made anew, since nobody else can be at work there. */
export function makeStaged(directory: string): string {
  const staged = stagedFolder(directory);
  rmSync(staged, { recursive: true, force: true });
  mkdirSync(staged, { mode: 0o700 });
  return staged;
}

export function dropStaged(directory: string): void {
  rmSync(stagedFolder(directory), { recursive: true, force: true });
}

/** A folder's name that is not taken yet. */
export function asideName(directory: string, kind: "before-restore" | "factory-reset", wallMs: number): string {
  const name = `${kind}-${new Date(wallMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
  return isThere(join(directory, name)) ? asideName(directory, kind, wallMs + 1000) : name;
}

/** Does it. From the moment at which the journal is on disk there is no way back, and whoever comes next finishes it. */
export function swap(directory: string, plan: Swap): void {
  crashpoint("swap.before");
  writeDurably(join(directory, JOURNAL), `${JSON.stringify(plan)}\n`);
  crashpoint("swap.begun");
  finishSwap(directory);
}

/** Finishes what was begun, or clears away what never was. Whoever calls it holds the directory. */
export function finishSwap(directory: string): boolean {
  const plan = readJournal(join(directory, JOURNAL));
  if (plan === undefined) {
    dropStaged(directory);
    return false;
  }
  const aside = join(directory, plan.aside);
  if (plan.out.length > 0) mkdirSync(aside, { recursive: true, mode: 0o750 });
  for (const name of plan.out) {
    // What lies aside already has a successor in its place.
    if (isThere(join(directory, name)) && !isThere(join(aside, name)))
      renameSync(join(directory, name), join(aside, name));
    crashpoint("swap.out");
  }
  if (isThere(aside)) syncFolder(aside);
  syncFolder(directory);
  crashpoint("swap.between");
  const staged = join(stagedFolder(directory), "data");
  for (const path of plan.in) {
    if (!isThere(join(staged, path))) continue;
    mkdirSync(dirname(join(directory, path)), { recursive: true, mode: 0o750 });
    renameSync(join(staged, path), join(directory, path));
    syncFolder(dirname(join(directory, path)));
    crashpoint("swap.in");
  }
  syncFolder(directory);
  crashpoint("swap.after");
  if (plan.drops) rmSync(aside, { recursive: true, force: true });
  else for (const older of asidesIn(directory)) if (older !== plan.aside) remove(directory, older);
  crashpoint("swap.dropped");
  dropStaged(directory);
  rmSync(join(directory, JOURNAL), { force: true });
  syncFolder(directory);
  crashpoint("swap.done");
  return true;
}

/** Takes a directory for a restore or a reset; what an earlier one left is put right first. */
export function takeDirectory(directory: string): Database {
  const lock = lockOf(storeFiles(directory));
  try {
    finishSwap(directory);
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

function lockOf(files: StoreFiles): Database {
  try {
    return lockDirectory(files);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "STORE_LOCKED") throw error;
    const hint = "Stop the daemon first: systemctl stop holdfast.";
    throw new BackupError("RESTORE_RUNNING", error.detail, { hint });
  }
}

/** Before a start reads anything in its directory: a restore or a reset that was cut short is finished or cleared away. */
export function settleDirectory(directory: string): boolean {
  if (!isUnsettled(directory)) return false;
  const lock = lockDirectory(storeFiles(directory));
  try {
    return finishSwap(directory);
  } finally {
    lock.close();
  }
}

function readJournal(path: string): Swap | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const plan = JSON.parse(readFileSync(path, "utf8")) as Swap;
    const tops = [...plan.out, ...plan.in.map((one) => one.split("/")[0] ?? "")];
    const isSafe = plan.in.every((one) => one.split("/").every((part) => part !== "" && part !== ".."));
    if (ASIDE.test(plan.aside) && tops.every(isOurs) && isSafe && typeof plan.drops === "boolean") return plan;
  } catch (cause) {
    throw new BackupError("RESTORE_JOURNAL", { file: path }, { cause });
  }
  throw new BackupError("RESTORE_JOURNAL", { file: path });
}

function asidesIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => ASIDE.test(name));
}

function remove(directory: string, name: string): void {
  rmSync(join(directory, name), { recursive: true, force: true });
}

/** Also a link that leads nowhere. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
