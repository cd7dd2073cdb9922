/** A user as the kernel sees it: what may be read and written is judged for this one. */
export interface Account {
  readonly user: string;
  readonly group: string;
  readonly uid: number;
  /** The first one is its own. */
  readonly gids: readonly number[];
}

/** The account of a name in the texts of /etc/passwd and /etc/group. */
export function accountOf(user: string, passwd: string, groups: string): Account | undefined {
  const line = passwd
    .split("\n")
    .map((one) => one.split(":"))
    .find(([name]) => name === user);
  if (line === undefined) return undefined;
  const [uid, gid] = [Number(line[2]), Number(line[3])];
  const rows = groups.split("\n").map((one) => one.split(":"));
  const more = rows.filter((row) => row[3]?.split(",").includes(user)).map((row) => Number(row[2]));
  const group = rows.find((row) => Number(row[2]) === gid)?.[0] ?? String(gid);
  return { user, group, uid, gids: [gid, ...more.filter((one) => one !== gid)] };
}

export interface Entry {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export const READ = 4;
export const WRITE = 2;
export const ENTER = 1;

/** Whether the rights of a file let an account do all of `wanted`: path_resolution(7), without access lists. */
export function isAllowed(account: Pick<Account, "uid" | "gids">, entry: Entry, wanted: number): boolean {
  if (account.uid === 0) return true;
  const shift = entry.uid === account.uid ? 6 : account.gids.includes(entry.gid) ? 3 : 0;
  return ((entry.mode >> shift) & wanted) === wanted;
}

/** The first folder above a file that the account can not pass, or the file itself; undefined: all of it is allowed. */
export function firstDenied(
  account: Pick<Account, "uid" | "gids">,
  path: readonly (Entry & { readonly path: string })[],
  wanted: number,
): string | undefined {
  const denied = path.find((entry, at) => !isAllowed(account, entry, at === path.length - 1 ? wanted : ENTER));
  return denied?.path;
}

/**
 * Looks as the account does where root asks: what a folder of the service's user names, which may be a link to somebody
 * else's file, is read no further than that user may. Not for work that waits: it is the whole process that changes.
 */
export function asAccount<T>(
  { isRoot, account }: { readonly isRoot: boolean; readonly account: Account },
  look: () => T,
): T {
  const { getegid, getgroups, seteuid, setegid, setgroups } = process;
  if (!isRoot || account.uid === 0 || !getegid || !getgroups || !seteuid || !setegid || !setgroups) return look();
  const [group, groups] = [getegid(), getgroups()];
  setgroups([...account.gids]);
  setegid(account.gids[0] ?? account.uid);
  seteuid(account.uid);
  try {
    return look();
  } finally {
    seteuid(0);
    setegid(group);
    setgroups(groups);
  }
}

/** As whom root starts a process that reads what the account may have written. */
export function asWhom({ isRoot, account }: { readonly isRoot: boolean; readonly account: Account }): {
  readonly uid?: number;
  readonly gid?: number;
} {
  return isRoot && account.uid !== 0 ? { uid: account.uid, gid: account.gids[0] ?? account.uid } : {};
}
