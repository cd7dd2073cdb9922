import { lstatSync, readlinkSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

const MOST_LINKS = 40;

/**
 * Run by root, the work is done as the user that a data directory belongs to: what it makes is the daemon's, and a link
 * that waits in a folder of somebody else's leads no further than that user may go.
 */
export async function asOwnerOf<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const back = become(directory);
  try {
    return await work();
  } finally {
    back();
  }
}

/** The same for work that does not wait, while others go on as root. */
export function atOnceAsOwnerOf<T>(directory: string, work: () => T): T {
  const back = become(directory);
  try {
    return work();
  } finally {
    back();
  }
}

/** Whoever owns a folder above can put another one in its place: the first who is not root counts. */
function firstOther(path: string, links: number): Stats | undefined {
  const parent = dirname(path);
  const above = parent === path ? undefined : firstOther(parent, links);
  if (above !== undefined) return above;
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || stat.uid !== 0) return stat;
  return stat.isSymbolicLink() && links > 0 ? firstOther(resolve(parent, readlinkSync(path)), links - 1) : undefined;
}

function become(directory: string): () => void {
  const { geteuid, getegid, getgroups, seteuid, setegid, setgroups } = process;
  const stay = (): void => undefined;
  if (geteuid?.() !== 0 || !getegid || !getgroups || !seteuid || !setegid || !setgroups) return stay;
  const { uid, gid } = firstOther(resolve(directory), MOST_LINKS) ?? statSync(directory);
  if (uid === 0) return stay;
  const before = { gid: getegid(), groups: getgroups() };
  setgroups([gid]);
  setegid(gid);
  seteuid(uid);
  return () => {
    seteuid(0);
    setegid(before.gid);
    setgroups(before.groups);
  };
}
