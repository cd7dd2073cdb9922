import type { StreamHead } from "../../sync/records.ts";
import { BackupError } from "./errors.ts";
import { isArchived, isArchivedLink } from "./names.ts";

export const MANIFEST = "manifest.json";
export const MOST_MANIFEST_BYTES = 4_194_304;
const KIND = "holdfast-backup";
const VERSION = 1;

export interface ArchivedFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface ArchivedLink {
  readonly path: string;
  readonly target: string;
}

/** How far the log in the backup goes. */
export interface LogHead {
  readonly ordinal: number;
  readonly epoch: string;
  readonly n: number;
  readonly streams: readonly StreamHead[];
}

/** What the first file of a backup says of the others. */
export interface Manifest {
  readonly kind: typeof KIND;
  readonly v: typeof VERSION;
  readonly holdfast: string;
  readonly gateway: string;
  /** Wall time in milliseconds. */
  readonly createdAt: number;
  /** The numbers of both databases' forms. */
  readonly forms: { readonly records: number; readonly control: number };
  readonly hasKeys: boolean;
  /** Effects were stopped when it was made. */
  readonly latched: boolean;
  readonly head: LogHead;
  /** The configuration's main file; null when there was none. */
  readonly config: string | null;
  readonly files: readonly ArchivedFile[];
  readonly links: readonly ArchivedLink[];
}

export function manifestOf(parts: Omit<Manifest, "kind" | "v">): Manifest {
  return { kind: KIND, v: VERSION, ...parts };
}

/** Reads and checks it, every path too. Throws BACKUP_FOREIGN, or BACKUP_NEWER where this version can not know. */
export function parseManifest(text: string, known: Manifest["forms"]): Manifest {
  let value: Partial<Manifest> | null;
  try {
    value = JSON.parse(text) as Partial<Manifest> | null;
  } catch (cause) {
    throw foreign("its manifest is not JSON", {}, cause);
  }
  if (typeof value !== "object" || value?.kind !== KIND) throw foreign("its manifest is of another kind");
  const { v, forms, holdfast } = value as Manifest;
  if (typeof v !== "number" || typeof holdfast !== "string") throw foreign("its manifest names no version");
  const hint = "Restore it with that version, or a newer one.";
  if (v > VERSION) throw new BackupError("BACKUP_NEWER", { madeBy: holdfast, form: v, known: VERSION }, { hint });
  if (!isCount(forms?.records) || !isCount(forms?.control)) throw foreign("its manifest names no forms");
  if (forms.records > known.records || forms.control > known.control)
    throw new BackupError("BACKUP_NEWER", { madeBy: holdfast, forms, known }, { hint });
  const manifest = value as Manifest;
  assertShape(manifest);
  for (const { path } of manifest.files) if (!isArchived(path)) throw foreign("no gateway has such a file", { path });
  for (const link of manifest.links)
    if (!isArchivedLink(link.path, link.target)) throw foreign("no gateway has such a link", { ...link });
  const paths = [...manifest.files, ...manifest.links].map(({ path }) => path);
  if (new Set(paths).size < paths.length) throw foreign("it names a file twice");
  for (const name of ["data/records.db", "data/control.db"])
    if (!paths.includes(name)) throw foreign("a database is missing", { path: name });
  return manifest;
}

function assertShape({ files, links, head, gateway, createdAt, hasKeys, latched, config }: Manifest): void {
  const isFile = (one: ArchivedFile): boolean =>
    typeof one?.path === "string" && isCount(one.bytes) && /^[0-9a-f]{64}$/.test(String(one.sha256));
  const isLink = (one: ArchivedLink): boolean => typeof one?.path === "string" && typeof one.target === "string";
  const isWhole =
    Array.isArray(files) &&
    files.every(isFile) &&
    Array.isArray(links) &&
    links.every(isLink) &&
    isCount(head?.ordinal) &&
    isCount(head.n) &&
    typeof head.epoch === "string" &&
    Array.isArray(head.streams) &&
    typeof gateway === "string" &&
    typeof createdAt === "number" &&
    !Number.isNaN(new Date(createdAt).getTime()) &&
    typeof hasKeys === "boolean" &&
    typeof latched === "boolean" &&
    (config === null || typeof config === "string");
  if (!isWhole) throw foreign("its manifest is not whole");
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function foreign(reason: string, detail: Readonly<Record<string, unknown>> = {}, cause?: unknown): BackupError {
  return new BackupError("BACKUP_FOREIGN", { reason, ...detail }, { cause });
}
