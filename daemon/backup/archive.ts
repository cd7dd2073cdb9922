import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  createReadStream,
  createWriteStream,
  fsyncSync,
  mkdirSync,
  openSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { fsyncPath } from "../latch-file.ts";
import { BackupError } from "./errors.ts";
import { type ArchivedFile, MANIFEST, type Manifest, MOST_MANIFEST_BYTES, parseManifest } from "./manifest.ts";
import { modeOf } from "./names.ts";
import { atOnceAsOwnerOf } from "./owner.ts";
import { BLOCK, type Header, paddingOf, parseHeader, renderHeader } from "./tar.ts";

/** A file that goes into an archive: where its bytes are. */
export interface Source {
  readonly path: string;
  readonly from: string | Buffer;
  /** The data directory that it lies in: it is opened as that one's owner. */
  readonly within?: string;
}

export interface ArchiveOptions {
  /** Told how many bytes of all files are done. */
  readonly progress: (bytes: number) => void;
  readonly stop: AbortSignal;
}

const END = Buffer.alloc(2 * BLOCK);
/** Fast: the copy is made on a gateway that has something else to do. */
const LEVEL = 3;

/** Writes the archive, the manifest first; what is not as the manifest says by then ends it. The file is on disk after it. */
export async function writeArchive(
  to: string,
  manifest: Manifest,
  sources: readonly Source[],
  { progress, stop }: ArchiveOptions,
): Promise<void> {
  const out = createWriteStream(to, { flags: "wx", mode: 0o600 });
  try {
    await pipeline(Readable.from(blocks(manifest, sources, progress)), createGzip({ level: LEVEL }), out, {
      signal: stop,
    });
  } catch (error) {
    throw stop.aborted ? new BackupError("BACKUP_STOPPED", {}, { cause: error }) : error;
  }
  fsyncPath(to, "r+");
}

async function* blocks(manifest: Manifest, sources: readonly Source[], progress: (bytes: number) => void) {
  const text = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
  yield renderHeader({ path: MANIFEST, bytes: text.length }, 0o640, manifest.createdAt);
  yield text;
  yield Buffer.alloc(paddingOf(text.length));
  let done = 0;
  for (const { path, from, within } of sources) {
    const said = manifest.files.find((file) => file.path === path) as ArchivedFile;
    yield renderHeader(said, modeOf(path.slice(path.indexOf("/") + 1)), manifest.createdAt);
    const sum = createHash("sha256");
    let bytes = 0;
    for await (const chunk of bytesOf(from, within)) {
      bytes += chunk.length;
      if (bytes > said.bytes) break;
      sum.update(chunk);
      progress(done + bytes);
      yield chunk;
    }
    if (bytes !== said.bytes || sum.digest("hex") !== said.sha256)
      throw new BackupError("BACKUP_CHANGED", { file: path }, { hint: "Make the backup again." });
    yield Buffer.alloc(paddingOf(bytes));
    done += bytes;
  }
  yield END;
}

/** Follows no link that somebody put in a file's place. */
export function bytesOf(from: string | Buffer, within?: string): AsyncIterable<Buffer> {
  if (typeof from !== "string") return Readable.from([from]) as AsyncIterable<Buffer>;
  // A pipe that was put in its place keeps nobody waiting.
  const open = (): number => openSync(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const fd = within === undefined ? open() : atOnceAsOwnerOf(within, open);
  return createReadStream("", { fd, highWaterMark: 262_144 });
}

export async function digestOf(
  from: string | Buffer,
  within?: string,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const sum = createHash("sha256");
  let bytes = 0;
  for await (const chunk of bytesOf(from, within)) {
    sum.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: sum.digest("hex") };
}

export interface Reading extends ArchiveOptions {
  /** The forms that this version can read. */
  readonly known: Manifest["forms"];
  /** Called with what the archive says of itself before anything is written; throws where there is no room. */
  readonly accept: (manifest: Manifest) => void;
}

/**
 * Takes an archive apart into a folder, and believes nothing of it: the files have to be those of its manifest, in its
 * order, with its sizes and digests, plain, and nothing else. Throws a BackupError; then the folder is of no use.
 */
export async function readArchive(file: number, folder: string, options: Reading): Promise<Manifest> {
  const { stop } = options;
  let manifest: Manifest | undefined;
  try {
    const from = createReadStream("", { fd: file, autoClose: false, start: 0, highWaterMark: 262_144 });
    await pipeline(
      from,
      createGunzip(),
      async (chunks: AsyncIterable<Buffer>) => {
        manifest = await unpack(new Pieces(chunks), folder, options);
      },
      { signal: stop },
    );
  } catch (error) {
    if (stop.aborted) throw new BackupError("BACKUP_STOPPED", {}, { cause: error });
    throw translated(error);
  }
  return manifest as unknown as Manifest;
}

function translated(error: unknown): unknown {
  const { code = "" } = error as NodeJS.ErrnoException;
  if (code === "Z_BUF_ERROR")
    return new BackupError("BACKUP_DAMAGED", { reason: "it ends too early" }, { cause: error });
  if (code.startsWith("Z_"))
    return new BackupError("BACKUP_FOREIGN", { reason: "it is not packed with gzip" }, { cause: error });
  return error;
}

async function unpack(pieces: Pieces, folder: string, options: Reading): Promise<Manifest> {
  const first = await nextHeader(pieces);
  if (first?.path !== MANIFEST || first.bytes > MOST_MANIFEST_BYTES)
    throw new BackupError("BACKUP_FOREIGN", { reason: "it does not begin with a manifest" });
  const text: Buffer[] = [];
  for await (const piece of pieces.take(first.bytes)) text.push(piece);
  await pieces.skip(paddingOf(first.bytes));
  const manifest = parseManifest(Buffer.concat(text).toString("utf8"), options.known);
  options.accept(manifest);
  let done = 0;
  for (const said of manifest.files) {
    const header = await nextHeader(pieces);
    if (header?.path !== said.path || header.bytes !== said.bytes)
      throw new BackupError("BACKUP_DAMAGED", { expected: said.path, found: header?.path ?? "the end" });
    await extract(pieces, said, folder, (bytes) => options.progress(done + bytes));
    done += said.bytes;
  }
  if ((await nextHeader(pieces)) !== undefined || (await nextHeader(pieces)) !== undefined || !(await pieces.isOver()))
    throw new BackupError("BACKUP_DAMAGED", { reason: "more follows than its manifest names" });
  return manifest;
}

async function nextHeader(pieces: Pieces): Promise<Header | undefined> {
  const block: Buffer[] = [];
  for await (const piece of pieces.take(BLOCK)) block.push(piece);
  return parseHeader(Buffer.concat(block));
}

async function extract(pieces: Pieces, said: ArchivedFile, folder: string, progress: (bytes: number) => void) {
  const path = join(folder, said.path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const mode = modeOf(said.path.slice(said.path.indexOf("/") + 1));
  const file = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    const sum = createHash("sha256");
    let bytes = 0;
    for await (const piece of pieces.take(said.bytes)) {
      sum.update(piece);
      for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
      bytes += piece.length;
      progress(bytes);
    }
    if (sum.digest("hex") !== said.sha256) throw new BackupError("BACKUP_DAMAGED", { file: said.path });
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  await pieces.skip(paddingOf(said.bytes));
}

/** A stream of bytes in the lengths that a reader asks for. */
class Pieces {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async *take(bytes: number): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more()))
        throw new BackupError("BACKUP_DAMAGED", { reason: "it ends too early" });
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  async skip(bytes: number): Promise<void> {
    for await (const _ of this.take(bytes));
  }

  async isOver(): Promise<boolean> {
    return this.#rest.length === 0 && !(await this.#more());
  }

  async #more(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return false;
      this.#rest = value;
      if (value.length > 0) return true;
    }
  }
}
