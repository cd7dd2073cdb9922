import { readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { storeFiles } from "./store/files.ts";

/** The daemon of a data directory, as the kernel knows it. */
export interface DaemonProcess {
  readonly pid: number;
  /** In clock ticks since the boot: a number that was given again to another process has another one. */
  readonly startTicks: string;
}

const LOOK_MS = 20;

/**
 * The process that holds the data directory's lock; undefined when there is none. What a file says of a process is
 * believed only when that process has the lock's file open: no other one is ever taken for the daemon.
 */
export function findDaemon(directory: string): DaemonProcess | undefined {
  const { lock, lockOwner } = storeFiles(directory);
  const file = statSync(lock, { throwIfNoEntry: false });
  if (file === undefined) return undefined;
  for (const pid of new Set([pidIn(lockOwner), ...lockHolders(file.ino)])) {
    const startTicks = pid === undefined ? undefined : startOf(pid);
    if (pid !== undefined && startTicks !== undefined && hasOpen(pid, file)) return { pid, startTicks };
  }
  return undefined;
}

export function isAlive({ pid, startTicks }: DaemonProcess): boolean {
  return startOf(pid) === startTicks;
}

/** kill -9, and waits until it is gone. False when this user may not, or it does not go. */
export async function killDaemon(daemon: DaemonProcess, waitMs: number): Promise<boolean> {
  try {
    if (isAlive(daemon)) process.kill(daemon.pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") return false;
  }
  for (let waited = 0; isAlive(daemon); waited += LOOK_MS) {
    if (waited >= waitMs) return false;
    await pause(LOOK_MS);
  }
  return true;
}

function pidIn(path: string): number | undefined {
  const pid = Number(textOf(path));
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

/** `1: POSIX  ADVISORY  WRITE 4711 08:02:131076 …` (proc_locks(5)); devices differ from stat's on some file systems. */
function lockHolders(inode: number): readonly number[] {
  return textOf("/proc/locks")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((parts) => parts[5]?.endsWith(`:${inode}`))
    .map((parts) => Number(parts[4]))
    .filter((pid) => pid > 0);
}

/** The 22nd field of /proc/PID/stat; undefined once it is gone or only waits to be buried. */
function startOf(pid: number): string | undefined {
  const text = textOf(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === undefined || "ZX".includes(fields[0]) ? undefined : fields[19];
}

function hasOpen(pid: number, file: Stats): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((one) => {
      const open = statSync(`${folder}/${one}`, { throwIfNoEntry: false });
      return open?.ino === file.ino && open.dev === file.dev;
    });
  } catch {
    // Another user's process: this one may not kill it either.
    return false;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Gone, or not to be read: it says nothing.
    return "";
  }
}
