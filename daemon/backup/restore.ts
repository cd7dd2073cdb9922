import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { certificateFacts } from "../../sync/certificate-facts.ts";
import { syncFolder, writeDurably } from "../durable-file.ts";
import { fsyncPath, latchPath, readLatch } from "../latch-file.ts";
import { keptIn, type LatchNote } from "../latch-note.ts";
import { storeFiles } from "../store/files.ts";
import { type Position, readPosition } from "../store/position.ts";
import { controlMeta } from "../store/queries.ts";
import type { VerifyResult } from "../store/verify.ts";
import { checkBackup } from "./check.ts";
import { BackupError } from "./errors.ts";
import { secureLatch } from "./latch.ts";
import type { Manifest } from "./manifest.ts";
import { keepTighterModes } from "./modes.ts";
import { isCopyOfLog, isIdentity, stateNames, WENT_BACK } from "./names.ts";
import { asideName, dropStaged, makeStaged, swap, takeDirectory } from "./swap.ts";

export interface RestoreOptions {
  readonly dataDirectory: string;
  /** The open archive. */
  readonly file: number;
  readonly acceptBrokenChain: boolean;
  /** The configuration is put back too, and the last good one with it. */
  readonly withConfig: boolean;
  readonly wallMs: number;
  readonly stop: AbortSignal;
  readonly progress: (step: "bytes" | "rows", done: number, share: number) => void;
  /** Asked when everything is checked and nothing is changed yet. */
  readonly confirm: (manifest: Manifest, isInUse: boolean) => Promise<boolean>;
}

export interface Restored {
  readonly manifest: Manifest;
  readonly log: VerifyResult;
  /** Where that which was there lies now; undefined when nothing was. */
  readonly aside: string | undefined;
  /** The stop that is in force; undefined when effects may leave. */
  readonly latch: LatchNote | undefined;
  /** The certificate that is there now was kept, since it holds longer than the one in the backup. */
  readonly keptCertificate: boolean;
  /** Scopes whose mode or switch is tighter than in the backup, and was kept. */
  readonly keptModes: readonly string[];
  readonly config: readonly ConfigFile[];
}

export interface ConfigFile {
  readonly path: string;
  readonly bytes: Buffer;
}

/**
 * Puts a backup in a data directory's place: all of it is checked before anything is changed. The next start finds that
 * an older log was put back, begins an epoch of its own, and uses no number twice.
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { dataDirectory, wallMs, stop } = options;
  const lock = takeDirectory(dataDirectory);
  try {
    const staged = makeStaged(dataDirectory);
    const roomHint = "Make room in the data directory: what is there is kept until you remove it.";
    const { manifest, log } = await checkBackup({ ...options, folder: staged, roomHint });
    if (!log.ok && !options.acceptBrokenChain) {
      const hint = "holdfast backup verify tells more. To restore it all the same: --accept-broken-chain.";
      throw new BackupError("BACKUP_CHAIN", { ...log.bad }, { hint });
    }
    const live = readdirSync(dataDirectory);
    const isInUse = live.some((name) => stateNames.includes(name));
    if (!(await options.confirm(manifest, isInUse)))
      throw new BackupError("RESTORE_UNCONFIRMED", { changed: "nothing" });
    if (stop.aborted) throw new BackupError("BACKUP_STOPPED", {});
    const config = configIn(staged, manifest);
    const keptCertificate = prepare(dataDirectory, staged, manifest, wallMs);
    const keptModes = keepTighterModes(storeFiles(dataDirectory), storeFiles(join(staged, "data")));
    const latch = secureLatch(dataDirectory, latchOf(join(staged, "data"), manifest, wallMs), wallMs);
    const plan = planOf(live, namesIn(staged), { ...options, keptCertificate });
    const aside = asideName(dataDirectory, "before-restore", wallMs);
    swap(dataDirectory, { ...plan, aside, drops: false });
    return {
      manifest,
      log,
      keptCertificate,
      keptModes,
      latch,
      config,
      aside: plan.out.length === 0 ? undefined : aside,
    };
  } finally {
    // After a swap there is nothing left of it; before one, nothing was changed.
    if (!existsSync(join(dataDirectory, "restore.json"))) dropStaged(dataDirectory);
    lock.close();
  }
}

/** What the archive's files need besides, to be a data directory: links, the position, the mark of an older log. */
function prepare(directory: string, staged: string, manifest: Manifest, wallMs: number): boolean {
  const data = join(staged, "data");
  for (const { path, target } of manifest.links) {
    mkdirSync(dirname(join(staged, path)), { recursive: true });
    symlinkSync(target, join(staged, path));
  }
  placePosition(directory, data, wallMs);
  writeFileSync(join(data, WENT_BACK), "", { mode: 0o640 });
  fsyncPath(join(data, WENT_BACK), "r+");
  if (!manifest.hasKeys) renamePublicKey(directory, data, manifest.createdAt);
  for (const entry of readdirSync(staged, { recursive: true, withFileTypes: true }))
    if (entry.isDirectory()) syncFolder(join(entry.parentPath, entry.name));
  syncFolder(staged);
  return hasBetterCertificate(directory, data);
}

/** The further one stays: whatever was numbered before is never numbered again. */
function placePosition(directory: string, data: string, wallMs: number): void {
  const [live, archived] = [storeFiles(directory), storeFiles(data)];
  const [ours, theirs] = [readPosition(live.position), readPosition(archived.position)];
  const known = Math.max(ours?.ordinal ?? 0, theirs?.ordinal ?? 0);
  const ordinal = startsIn(live.control);
  if (ordinal > known) {
    const position: Position = { ordinal, epoch: "", n: Math.max(ours?.n ?? 0, theirs?.n ?? 0), wallMs };
    writeDurably(archived.position, `${JSON.stringify({ kind: "position", ...position, heads: [] })}\n`);
  } else if (ours !== undefined && isFurther(ours, theirs))
    writeDurably(archived.position, readFileSync(live.position));
}

function isFurther(one: Position, other: Position | undefined): boolean {
  if (other === undefined || one.ordinal !== other.ordinal) return one.ordinal > (other?.ordinal ?? 0);
  return one.n > other.n;
}

function startsIn(controlPath: string): number {
  if (!existsSync(controlPath)) return 0;
  try {
    return Number(controlMeta(controlPath)["ordinal"] ?? 0);
  } catch {
    // Damaged: the position says it too.
    return 0;
  }
}

/** A backup without keys brings the public key alone: beside another gateway's own it is a former one. */
function renamePublicKey(directory: string, data: string, createdAt: number): void {
  const [ours, theirs] = [storeFiles(directory).publicKey, storeFiles(data).publicKey];
  if (!existsSync(ours) || !existsSync(theirs)) return;
  if (readFileSync(ours, "utf8") !== readFileSync(theirs, "utf8")) renameSync(theirs, `${theirs}.backup-${createdAt}`);
}

function hasBetterCertificate(directory: string, data: string): boolean {
  const [ours, theirs] = [certificateIn(directory), certificateIn(data)];
  if (ours === undefined || theirs === undefined || ours.commonName !== theirs.commonName) return false;
  return ours.notAfterMs > theirs.notAfterMs;
}

function certificateIn(directory: string): { commonName: string; notAfterMs: number } | undefined {
  try {
    return certificateFacts(readFileSync(join(directory, "fleet", "gateway.pem"), "utf8"));
  } catch {
    // None, or none that can be read.
    return undefined;
  }
}

/** The stop in a backup. A latch that was missing or damaged was one, and the archive has no file that says so. */
function latchOf(data: string, { latched }: Manifest, wallMs: number): LatchNote | undefined {
  const reading = readLatch(latchPath(data));
  if (reading.kind === "read" && reading.note.latched) return reading.note;
  const kept = keptIn(controlMeta(join(data, "control.db"))["latch"]);
  if (kept?.latched === true) return kept;
  if (!latched && (reading.kind === "read" || reading.kind === "missing")) return undefined;
  const why = "effects were stopped when the backup was made";
  return { latched: true, why, by: "holdfast", at: wallMs, nonce: randomBytes(8).toString("hex") };
}

function namesIn(staged: string): { readonly tops: readonly string[]; readonly models: readonly string[] } {
  const models = join(staged, "data", "models");
  return { tops: readdirSync(join(staged, "data")), models: existsSync(models) ? readdirSync(models) : [] };
}

interface Kept {
  readonly withConfig: boolean;
  readonly keptCertificate: boolean;
  readonly dataDirectory: string;
}

/** What goes out and what comes in. Models are named by their digest: those that are there stay, and others join them. */
function planOf(
  live: readonly string[],
  staged: ReturnType<typeof namesIn>,
  { withConfig, keptCertificate, dataDirectory }: Kept,
): { readonly out: readonly string[]; readonly in: readonly string[] } {
  const comes = (name: string): boolean => {
    if (name === "models" || name === "latch") return false;
    if (name === "fleet") return !keptCertificate;
    if (name === "last-good") return withConfig || !live.includes(name);
    return name !== "gateway.pub" || staged.tops.includes("gateway.key") || !live.includes(name);
  };
  const tops = staged.tops.filter(comes);
  const models = staged.models.filter((name) => !existsSync(join(dataDirectory, "models", name)));
  const bringsKey = tops.includes("gateway.key");
  const isReplaced = (name: string): boolean =>
    stateNames.includes(name) ||
    isCopyOfLog(name) ||
    tops.includes(name) ||
    (bringsKey && isIdentity(name) && name !== "fleet");
  return { out: live.filter(isReplaced), in: [...tops, ...models.map((name) => `models/${name}`)] };
}

function configIn(staged: string, manifest: Manifest): ConfigFile[] {
  return manifest.files
    .filter(({ path }) => path.startsWith("config/"))
    .map(({ path }) => ({ path: path.slice("config/".length), bytes: readFileSync(join(staged, path)) }));
}
