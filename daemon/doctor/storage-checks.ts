import { randomBytes } from "node:crypto";
import { lstatSync, readdirSync, statSync } from "node:fs";
import { type FileHandle, open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { claimsFolder } from "../api/claims.ts";
import { storeFiles } from "../store/files.ts";
import type { Check } from "./check.ts";
import { type Finding, problem, skipped } from "./finding.ts";
import { exists, type Mount, mountOf, type PathEntry, pathEntries } from "./paths.ts";
import { type Site, textOf } from "./site.ts";
import {
  inodesFinding,
  isSlow,
  permissionFindings,
  quarantineFinding,
  readOnlyFinding,
  spaceFinding,
  speedFinding,
  walFinding,
} from "./storage.ts";

const PROBES = 20;
const PROBE_BYTES = 4096;
/** Of a disk that is so slow, fewer probes say enough. */
const MOST_MS = 3000;
/** A slow one is looked at once more. */
const ROUNDS = 2;
const MOST_FILES = 2000;
const USUAL = { maxBytes: 1_073_741_824, ballastBytes: 1_048_576 };

export const storageChecks: readonly Check[] = [
  { tells: ["storage.directory"], withinMs: 3000, look: (site) => [directoryFinding(site)] },
  { tells: ["storage.permissions"], withinMs: 5000, look: permissions },
  { tells: ["storage.space", "storage.inodes"], withinMs: 5000, look: room },
  { tells: ["storage.wal", "storage.quarantine"], withinMs: 3000, look: filesBesideLog },
];

export const speedChecks: readonly Check[] = [{ tells: ["storage.speed"], withinMs: 8000, look: speed }];

function directoryFinding({ dataDirectory: directory, unit, account }: Site): Finding {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return readOnlyFinding(directory, mount(directory));
  if (stat === undefined && unit === undefined)
    return skipped("storage.directory", `${directory} is not there: nothing has run here yet`);
  const found = stat === undefined ? "it is not there" : "it is no folder";
  const values = { directory, user: account.user, group: account.group };
  return problem("storage.directory", "missing", { subject: directory, found, expected: "a folder", values });
}

function mount(directory: string): Mount | undefined {
  return mountOf(directory, textOf("/proc/self/mountinfo"));
}

/** Everything but where people show who they are: those folders are theirs. */
function permissions({ dataDirectory, account }: Site): readonly Finding[] {
  if (!exists(dataDirectory)) return [skipped("storage.permissions", "there is no data directory")];
  const files: (readonly PathEntry[])[] = [];
  const above = pathEntries(dataDirectory) ?? [];
  const walk = (folder: string, before: readonly PathEntry[]): void => {
    files.push(before);
    for (const name of readdirSync(folder).sort()) {
      const path = join(folder, name);
      if (path === claimsFolder(dataDirectory) || files.length > MOST_FILES) continue;
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat === undefined || stat.isSymbolicLink()) continue;
      const entries = [...before, { path, mode: stat.mode, uid: stat.uid, gid: stat.gid }];
      if (stat.isDirectory()) walk(path, entries);
      else files.push(entries);
    }
  };
  walk(dataDirectory, above);
  return permissionFindings(account, dataDirectory, files, storeFiles(dataDirectory).key);
}

async function room({ dataDirectory, loaded }: Site): Promise<readonly Finding[]> {
  if (!exists(dataDirectory))
    return [
      skipped("storage.space", "there is no data directory"),
      skipped("storage.inodes", "there is no data directory"),
    ];
  const { bavail, bsize, files, ffree } = await statfs(dataDirectory);
  const facts = { freeBytes: bavail * bsize, freeFiles: ffree, files };
  const point = mount(dataDirectory)?.point ?? "/";
  const budget = loaded?.config.gateway.store ?? USUAL;
  return [spaceFinding(facts, bytesIn(dataDirectory), budget, point), inodesFinding(facts, point)];
}

function bytesIn(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += path === join(folder, "who") ? 0 : bytesIn(path);
    else bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

async function speed(site: Site, signal: AbortSignal): Promise<readonly Finding[]> {
  if (!exists(site.dataDirectory)) return [skipped("storage.speed", "there is no data directory")];
  const path = join(site.dataDirectory, `doctor-${randomBytes(6).toString("hex")}.probe`);
  const rounds: number[][] = [];
  try {
    const file = await open(path, "wx", 0o600);
    try {
      if (site.isRoot) await file.chown(site.account.uid, site.account.gids[0] ?? site.account.uid);
      while (rounds.length < ROUNDS && rounds.every(isSlow)) rounds.push(await probes(file, signal));
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return [skipped("storage.speed", `nothing can be written there (${code})`)];
  } finally {
    // On a disk that became read-only it stays: what was found of the disk is told all the same.
    await rm(path, { force: true }).catch(() => undefined);
  }
  return [speedFinding(rounds)];
}

/** How long each write and sync took, in milliseconds. */
async function probes(file: FileHandle, signal: AbortSignal): Promise<number[]> {
  const timesMs: number[] = [];
  const block = randomBytes(PROBE_BYTES);
  const start = performance.now();
  while (timesMs.length < PROBES && !signal.aborted && performance.now() - start < MOST_MS) {
    const began = performance.now();
    await file.write(block, 0, PROBE_BYTES, 0);
    await file.datasync();
    timesMs.push(performance.now() - began);
  }
  return timesMs;
}

function filesBesideLog({ dataDirectory }: Site): readonly Finding[] {
  if (!exists(dataDirectory))
    return [
      skipped("storage.wal", "there is no data directory"),
      skipped("storage.quarantine", "there is no data directory"),
    ];
  const wal = `${storeFiles(dataDirectory).records}-wal`;
  const aside = readdirSync(dataDirectory).filter((name) => /\.corrupt-\d+$/.test(name));
  const size = statSync(wal, { throwIfNoEntry: false })?.size ?? 0;
  return [walFinding(size, wal), quarantineFinding(aside.sort().map((name) => join(dataDirectory, name)))];
}
