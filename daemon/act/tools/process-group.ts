import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const GRACE_MS = 1000;
/** After SIGKILL only the kernel can hold a process back, as in a read of a dead network disk. */
const KILL_WAIT_MS = 2000;
const LOOK_AGAIN_MS = 10;

/** Asks a process group to end, and after a second makes it. False: something of it could not be ended. */
export async function endGroup(group: number): Promise<boolean> {
  signalGroup(group, "SIGTERM");
  return (await isGoneWithin(group, GRACE_MS)) || (await killGroup(group));
}

/** Ends a process group at once. False: something of it could not be ended. */
export async function killGroup(group: number): Promise<boolean> {
  signalGroup(group, "SIGKILL");
  return (await isGoneWithin(group, KILL_WAIT_MS)) || !hasLivingMember(group);
}

async function isGoneWithin(group: number, limitMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < limitMs; waitedMs += LOOK_AGAIN_MS) {
    if (!signalGroup(group, 0)) return true;
    await sleep(LOOK_AGAIN_MS);
  }
  return !signalGroup(group, 0);
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
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      // The command's name stands in parentheses and may hold anything.
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      const [state, , itsGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(itsGroup) === group && state !== "Z" && state !== "X";
    } catch {
      return false; // ended meanwhile
    }
  });
}
