import { statSync } from "node:fs";

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

function become(directory: string): () => void {
  const { geteuid, getegid, getgroups, seteuid, setegid, setgroups } = process;
  const stay = (): void => undefined;
  if (geteuid?.() !== 0 || !getegid || !getgroups || !seteuid || !setegid || !setgroups) return stay;
  const { uid, gid } = statSync(directory);
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
