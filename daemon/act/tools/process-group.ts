import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const GRACE_MS = 1000;
/** After SIGKILL only the kernel can hold a process back, as in a read of a dead network disk. */
const KILL_WAIT_MS = 2000;
const LOOK_AGAIN_MS = 10;
/** So often it looks more closely, which costs more. */
const CLOSELY_EVERY = 5;

/** Asks a process group to end, and after a second makes it. False: something of it could not be ended. */
export async function endGroup(group: number): Promise<boolean> {
  signalGroup(group, "SIGTERM");
  return (await isGoneWithin(group, GRACE_MS)) || (await killGroup(group));
}

/** Ends a process group at once. False: something of it could not be ended. */
export async function killGroup(group: number): Promise<boolean> {
  signalGroup(group, "SIGKILL");
  return await isGoneWithin(group, KILL_WAIT_MS);
}

async function isGoneWithin(group: number, limitMs: number): Promise<boolean> {
  for (let look = 1; look * LOOK_AGAIN_MS <= limitMs; look++) {
    if (!signalGroup(group, 0)) return true;
    await sleep(LOOK_AGAIN_MS);
    if (look % CLOSELY_EVERY === 0 && !hasLivingMember(group)) return true;
  }
  return false;
}

/** False: nothing is left of the group. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Dead processes whose parent does not ask for them stay members of their group: in containers without an init. */
function hasLivingMember(group: number): boolean {
  let names: readonly string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return true; // nothing is known
  }
  return names.some((name) => /^\d+$/.test(name) && isLivingMember(name, group));
}

function isLivingMember(pid: string, group: number): boolean {
  try {
    // The command's name stands in parentheses and may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const [state, , itsGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(itsGroup) === group && state !== "Z" && state !== "X";
  } catch {
    return false; // ended meanwhile
  }
}
