import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";

const BLOCK_BYTES = 4096;

/** What a power cut, or the card after it, makes of a file. */
export const tears = [
  "empty",
  "cut anywhere",
  "cut at a block",
  "a block of zeros",
  "a block of garbage",
  "all garbage",
  "an older version",
  "missing",
  "a beginning beside it",
] as const;

export type Tear = (typeof tears)[number];

export interface Torn {
  readonly file: string;
  readonly tear: Tear;
  /** Whether it is another file than before. */
  readonly isChanged: boolean;
}

/** `older`: the same file of an earlier time. False: it can not be done to that file. */
export function tearFile(
  path: string,
  tear: Tear,
  { older, random }: { older: string; random: () => number },
): boolean {
  if (tear === "a beginning beside it") {
    const half = existsSync(path) ? readFileSync(path).subarray(0, 100) : Buffer.from("half");
    writeFileSync(`${path}.${1000 + Math.floor(random() * 9000)}.tmp`, half);
    return true;
  }
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined || size === 0) return false;
  const blocks = Math.ceil(size / BLOCK_BYTES);
  const block = Math.floor(random() * blocks) * BLOCK_BYTES;
  switch (tear) {
    case "empty":
      truncateSync(path, 0);
      return true;
    case "cut anywhere":
      truncateSync(path, Math.floor(random() * size));
      return true;
    case "cut at a block":
      truncateSync(path, block);
      return true;
    case "a block of zeros":
      writeAt(path, block, Buffer.alloc(Math.min(BLOCK_BYTES, size - block)));
      return true;
    case "a block of garbage":
      writeAt(path, block, garbage(Math.min(BLOCK_BYTES, size - block), random));
      return true;
    case "all garbage":
      writeFileSync(path, garbage(size, random));
      return true;
    case "missing":
      rmSync(path);
      return true;
    case "an older version":
      if (!existsSync(older)) return false;
      copyFileSync(older, path);
      return true;
  }
}

function garbage(bytes: number, random: () => number): Buffer {
  const block = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) block[at] = Math.floor(random() * 256);
  return block;
}

function writeAt(path: string, at: number, bytes: Buffer): void {
  const file = openSync(path, "r+");
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}
