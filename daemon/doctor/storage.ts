import { type Account, firstDenied, READ, WRITE } from "./account.ts";
import { type Finding, ok, problem, skipped } from "./finding.ts";
import type { Mount, PathEntry } from "./paths.ts";
import { few, mebibytes } from "./words.ts";

const LEAST_BYTES = 32 * 1_048_576;
const LEAST_FILES = 100;
const SLOW_MS = 250;
const LARGE_WAL_BYTES = 64 * 1_048_576;

/** statfs(2), in bytes and files that this user may still use. */
export interface Room {
  readonly freeBytes: number;
  readonly freeFiles: number;
  readonly files: number;
}

/** `usedBytes`: of the data directory now. */
export function spaceFinding(
  { freeBytes }: Room,
  usedBytes: number,
  budget: { readonly maxBytes: number; readonly ballastBytes: number },
  mount: string,
): Finding {
  const found = `${mebibytes(freeBytes)} free, ${mebibytes(usedBytes)} used by Holdfast`;
  const least = Math.max(LEAST_BYTES, 3 * budget.ballastBytes);
  const values = { mount };
  if (freeBytes < least)
    return problem("storage.space", "full", { found, expected: `at least ${mebibytes(least)} free`, values });
  const needed = Math.max(0, budget.maxBytes - usedBytes);
  if (freeBytes >= needed) return ok("storage.space", `${found}, store.maxBytes ${mebibytes(budget.maxBytes)}`);
  const expected = `${mebibytes(needed)} free, what store.maxBytes (${mebibytes(budget.maxBytes)}) leaves`;
  return problem("storage.space", "low", { found, expected, values });
}

export function inodesFinding({ files, freeFiles }: Room, mount: string): Finding {
  if (files === 0) return skipped("storage.inodes", "this file system does not count them");
  const found = `${freeFiles} of ${files} free`;
  if (freeFiles >= LEAST_FILES) return ok("storage.inodes", found);
  return problem("storage.inodes", "out", { found, expected: `at least ${LEAST_FILES}`, values: { mount } });
}

export function isSlow(timesMs: readonly number[]): boolean {
  return quantile(timesMs, 0.99) > SLOW_MS;
}

/** `rounds`: how long each write and sync took. A disk that was fast in one of them was held up by others, once. */
export function speedFinding(rounds: readonly (readonly number[])[]): Finding {
  const timesMs = rounds.find((one) => !isSlow(one)) ?? rounds.at(-1) ?? [];
  const [p50, p99] = [quantile(timesMs, 0.5), quantile(timesMs, 0.99)];
  const found = `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms of ${timesMs.length} syncs`;
  if (!isSlow(timesMs)) return ok("storage.speed", found);
  return problem("storage.speed", "slow", { found, expected: `p99 of at most ${SLOW_MS} ms` });
}

function quantile(values: readonly number[], share: number): number {
  const ordered = [...values].sort((a, b) => a - b);
  return ordered[Math.min(ordered.length - 1, Math.ceil(share * ordered.length) - 1)] ?? 0;
}

export function readOnlyFinding(directory: string, mount: Mount | undefined): Finding {
  if (mount?.isReadOnly !== true) return ok("storage.directory", directory);
  const found = `${mount.point} is mounted read-only`;
  return problem("storage.directory", "read-only", {
    found,
    expected: "a file system that may be written",
    values: { mount: mount.point },
  });
}

/** `files`: the data directory and what is in it, each with the folders above it. */
export function permissionFindings(
  account: Account,
  directory: string,
  files: readonly (readonly PathEntry[])[],
  keyFile: string,
): readonly Finding[] {
  const denied = files.flatMap((entries) => firstDenied(account, entries, READ | WRITE) ?? []);
  const { user, group } = account;
  const findings: Finding[] = [];
  if (denied.length > 0) {
    const found = few([...new Set(denied)]);
    const values = { user, group, directory };
    findings.push(
      problem("storage.permissions", "denied", { found, expected: `${user} may read and write them`, values }),
    );
  }
  const key = files.map((entries) => entries.at(-1)).find((entry) => entry?.path === keyFile);
  if (key !== undefined && (key.mode & 0o004) !== 0) {
    const found = `mode ${(key.mode & 0o777).toString(8).padStart(4, "0")}`;
    const told = { subject: keyFile, found, expected: "0600", values: { file: keyFile } };
    findings.push(problem("storage.permissions", "exposed", told));
  }
  return findings.length > 0
    ? findings
    : [ok("storage.permissions", `${user} may read and write ${files.length} files and folders`)];
}

export function walFinding(bytes: number, file: string): Finding {
  if (bytes <= LARGE_WAL_BYTES) return ok("storage.wal", mebibytes(bytes));
  const expected = `at most ${mebibytes(LARGE_WAL_BYTES)}`;
  return problem("storage.wal", "large", { found: mebibytes(bytes), expected, values: { file } });
}

export function quarantineFinding(paths: readonly string[]): Finding {
  if (paths.length === 0) return ok("storage.quarantine", "none");
  const values = { files: paths.join(" ") };
  return problem("storage.quarantine", "aside", { found: few(paths), expected: "no file set aside", values });
}
