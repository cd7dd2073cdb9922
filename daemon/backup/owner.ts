import { lstatSync, readlinkSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const MOST_LINKS = 40;

/**
 * Run by root, the work is done as the user that a directory belongs to: what it makes is the daemon's, and a link
 * that waits in a folder of somebody else's leads no further than that user may go.
 */
export async function asOwnerOf<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const back = become(ownerOf(directory));
  try {
    return await work();
  } finally {
    back();
  }
}

/** The same for what is done at once. */
export function asOwnerOfNow<T>(directory: string, work: () => T): T {
  const back = become(ownerOf(directory));
  try {
    return work();
  } finally {
    back();
  }
}

/** Done at once with the rights of an account, where root runs this. */
export function asAccountNow<T>(
  { uid, gids }: { readonly uid: number; readonly gids: readonly number[] },
  work: () => T,
): T {
  const back = become({ uid, gid: gids[0] ?? uid }, gids);
  try {
    return work();
  } finally {
    back();
  }
}

/** Whoever owns a folder above can put another one in its place: the first who is not root counts. */
function ownerOf(directory: string): Owner | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  return firstOther(resolve(directory), MOST_LINKS) ?? statSync(directory);
}

function firstOther(path: string, links: number): Owner | undefined {
  const parent = dirname(path);
  const above = parent === path ? undefined : firstOther(parent, links);
  if (above !== undefined) return above;
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || stat.uid !== 0) return stat;
  return stat.isSymbolicLink() && links > 0 ? firstOther(resolve(parent, readlinkSync(path)), links - 1) : undefined;
}

function become(owner: Owner | undefined, groups?: readonly number[]): () => void {
  const { geteuid, getegid, getgroups, seteuid, setegid, setgroups } = process;
  if (owner === undefined || owner.uid === 0) return () => undefined;
  if (geteuid?.() !== 0 || !getegid || !getgroups || !seteuid || !setegid || !setgroups) return () => undefined;
  const before = { gid: getegid(), groups: getgroups() };
  setgroups([...(groups ?? [owner.gid])]);
  setegid(owner.gid);
  seteuid(owner.uid);
  return () => {
    seteuid(0);
    setegid(before.gid);
    setgroups(before.groups);
  };
}
