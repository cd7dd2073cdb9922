import { statSync } from "node:fs";

/**
 * Run by root, the work is done as the user that a data directory belongs to: what it makes is the daemon's, and a link
 * that waits in a folder of somebody else's leads no further than that user may go.
 */
export async function asOwnerOf<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const { geteuid, getegid, getgroups, seteuid, setegid, setgroups } = process;
  if (geteuid?.() !== 0 || !getegid || !getgroups || !seteuid || !setegid || !setgroups) return await work();
  const { uid, gid } = statSync(directory);
  if (uid === 0) return await work();
  const before = { gid: getegid(), groups: getgroups() };
  setgroups([gid]);
  setegid(gid);
  seteuid(uid);
  try {
    return await work();
  } finally {
    seteuid(0);
    setegid(before.gid);
    setgroups(before.groups);
  }
}
