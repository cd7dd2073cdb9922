import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The kernel's limit for a Unix socket's path is 108 bytes with its closing zero. */
const LONGEST_PATH_BYTES = 100;

/** Where the daemon of this data directory listens; very deep directories get a short name in the temporary folder. */
export function socketPath(dataDirectory: string): string {
  const direct = join(resolve(dataDirectory), "control.sock");
  if (Buffer.byteLength(direct) <= LONGEST_PATH_BYTES) return direct;
  const digest = createHash("sha256").update(direct).digest("hex").slice(0, 16);
  return join(tmpdir(), `holdfast-${digest}.sock`);
}
