import { BackupError } from "./errors.ts";

/** POSIX ustar, of which only plain files are written and taken: `tar tzf` shows a backup anywhere. */
export const BLOCK = 512;
const MOST_BYTES = 0o77777777777;
const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const MAGIC = "ustar\u000000";
const PLAIN_FILE = "0";

export interface Header {
  readonly path: string;
  readonly bytes: number;
}

export function renderHeader({ path, bytes }: Header, mode: number, wallMs: number): Buffer {
  if (bytes > MOST_BYTES) throw new BackupError("BACKUP_TOO_LARGE", { file: path, bytes, mostBytes: MOST_BYTES });
  const block = Buffer.alloc(BLOCK);
  const { name, prefix } = halves(path);
  block.write(name, 0);
  octal(block, mode, 100, 8);
  octal(block, 0, 108, 8);
  octal(block, 0, 116, 8);
  octal(block, bytes, 124, 12);
  octal(block, Math.floor(wallMs / 1000), 136, 12);
  block.write(PLAIN_FILE, 156, "latin1");
  block.write(MAGIC, 257, "latin1");
  block.write(prefix, 345);
  block.write(`${sumOf(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** Undefined for the empty block that ends an archive. Throws BACKUP_FOREIGN for whatever is no plain file. */
export function parseHeader(block: Buffer): Header | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const magic = block.toString("latin1", 257, 265);
  if (magic !== MAGIC || Number.parseInt(text(block, 148, 8), 8) !== sumOf(block))
    throw new BackupError("BACKUP_FOREIGN", { reason: "it is no archive of this kind" });
  const prefix = text(block, 345, PREFIX_BYTES);
  const path = `${prefix === "" ? "" : `${prefix}/`}${text(block, 0, NAME_BYTES)}`;
  const kind = block.toString("latin1", 156, 157);
  if (kind !== PLAIN_FILE)
    throw new BackupError("BACKUP_FOREIGN", { entry: path, reason: "it holds something that is no plain file" });
  const size = text(block, 124, 12).trim();
  if (!/^[0-7]{1,11}$/.test(size)) throw new BackupError("BACKUP_FOREIGN", { entry: path, reason: "it has no size" });
  return { path, bytes: Number.parseInt(size, 8) };
}

/** How many bytes follow a file until the next block. */
export function paddingOf(bytes: number): number {
  return (BLOCK - (bytes % BLOCK)) % BLOCK;
}

function halves(path: string): { readonly name: string; readonly prefix: string } {
  if (Buffer.byteLength(path) <= NAME_BYTES) return { name: path, prefix: "" };
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= PREFIX_BYTES && Buffer.byteLength(name) <= NAME_BYTES) return { name, prefix };
  }
  throw new BackupError("BACKUP_TOO_LARGE", { file: path, reason: "its name is too long" });
}

function octal(block: Buffer, value: number, at: number, width: number): void {
  block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
}

function text(block: Buffer, at: number, width: number): string {
  const end = block.indexOf(0, at);
  return block.toString("utf8", at, end < 0 || end > at + width ? at + width : end);
}

/** The sum of all bytes, those of the sum itself as spaces. */
function sumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] as number;
  return sum;
}
