import { readdirSync, readFileSync, readlinkSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname } from "node:path";
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
 * The process that holds the data directory's lock; undefined when there is none that this user can see. The kernel says
 * who holds locks, and on which file: also where the file was replaced or removed since. What a file says of a process is
 * believed only when that process has the lock's file open: no other one is ever taken for the daemon.
 */
export function findDaemon(directory: string): DaemonProcess | undefined {
  const { lock, lockOwner } = storeFiles(directory);
  const file = statSync(lock, { throwIfNoEntry: false });
  const folder = realFolder(directory);
  for (const { pid, inode } of lockHolders()) {
    const startTicks = startOf(pid);
    const isOurs = (fd: string, open: Stats): boolean =>
      open.ino === inode && (isSame(open, file) || isLockOf(folder, pathIn(fd)));
    if (startTicks !== undefined && hasOpen(pid, isOurs)) return { pid, startTicks };
  }
  const pid = pidIn(lockOwner);
  const startTicks = startOf(pid);
  return startTicks !== undefined && hasOpen(pid, (_, open) => isSame(open, file)) ? { pid, startTicks } : undefined;
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

function pidIn(path: string): number {
  const pid = Number(textOf(path));
  return Number.isInteger(pid) && pid > 0 ? pid : 0;
}

interface LockHolder {
  readonly pid: number;
  readonly inode: number;
}

/** `1: POSIX  ADVISORY  WRITE 4711 08:02:131076 …` (proc_locks(5)); devices differ from stat's on some file systems. */
function lockHolders(): readonly LockHolder[] {
  return textOf("/proc/locks")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((parts) => parts[1] === "POSIX" && parts[3] === "WRITE")
    .map((parts) => ({ pid: Number(parts[4]), inode: Number(parts[5]?.split(":")[2]) }))
    .filter(({ pid }) => pid > 0);
}

/** The 22nd field of /proc/PID/stat; undefined once it is gone or only waits to be buried. */
function startOf(pid: number): string | undefined {
  const text = textOf(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === undefined || "ZX".includes(fields[0]) ? undefined : fields[19];
}

function hasOpen(pid: number, isWanted: (fd: string, open: Stats) => boolean): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((one) => {
      const open = statSync(`${folder}/${one}`, { throwIfNoEntry: false });
      return open !== undefined && isWanted(`${folder}/${one}`, open);
    });
  } catch {
    // Another user's process: this one may not kill it either.
    return false;
  }
}

function isSame(one: Stats, other: Stats | undefined): boolean {
  return one.ino === other?.ino && one.dev === other.dev;
}

/** What a file descriptor leads to, by its name; an empty text where that is not to be known. */
function pathIn(fd: string): string {
  try {
    return readlinkSync(fd);
  } catch {
    // Closed in between.
    return "";
  }
}

/** The databases may be locked by whoever looks into them; what else is locked there is the daemon's own. */
function isLockOf(folder: string, path: string): boolean {
  return dirname(path) === folder && !/^(?:records|control)\.db/.test(basename(path));
}

/** As the kernel names it: without links on the way. */
function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // There is no such folder.
    return path;
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
