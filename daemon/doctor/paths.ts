import { lstatSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Entry } from "./account.ts";

export type PathEntry = Entry & { readonly path: string };

/** Each folder from the root to a path, and the path itself, with their rights; undefined where it is not there. */
export function pathEntries(path: string): readonly PathEntry[] | undefined {
  const absolute = resolve(path);
  const above = dirname(absolute);
  const before = above === absolute ? [] : pathEntries(above);
  const entry = entryOf(absolute);
  return before === undefined || entry === undefined ? undefined : [...before, entry];
}

/** Undefined where there is no such file. Throws where this user may not look. */
function entryOf(path: string): PathEntry | undefined {
  try {
    const { mode, uid, gid } = statSync(path);
    return { path, mode, uid, gid };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

export function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

export interface Mount {
  readonly point: string;
  readonly isReadOnly: boolean;
}

/** The mount that a path lies on: the text of /proc/self/mountinfo, proc(5). The last of those on one point is on top. */
export function mountOf(path: string, mountinfo: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of mountinfo.split("\n")) {
    const [own = "", of = ""] = line.split(" - ");
    const [, , , , rawPoint, options = ""] = own.split(" ");
    if (rawPoint === undefined) continue;
    const point = rawPoint.replaceAll(/\\(\d{3})/g, (_all, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const covers = path === point || path.startsWith(point.endsWith("/") ? point : `${point}/`);
    if (!covers || point.length < (found?.point.length ?? 0)) continue;
    const ofDisk = of.split(" ")[2] ?? "";
    found = { point, isReadOnly: [options, ofDisk].some((one) => one.split(",").includes("ro")) };
  }
  return found;
}
