import { execFileSync } from "node:child_process";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

const CHUNK_BYTES = 65_536;
const ROUGHLY_BYTES = 33_554_432;

/** A file system of its own: ext4 in a file, or a part of memory where loop devices are not to be had. Needs root. */
export class SmallDisk {
  readonly folder: string;
  readonly kind: "ext4" | "tmpfs";
  readonly #balloon: string;

  /** `kind`: tmpfs where it has to be fast and only processes die, not machines. */
  constructor(parent: string, megabytes: number, kind: "ext4" | "tmpfs" = "ext4") {
    this.folder = join(parent, "disk");
    this.#balloon = join(this.folder, "other-data");
    mkdirSync(this.folder);
    const image = join(parent, "disk.img");
    try {
      if (kind === "tmpfs") throw new Error("no file is needed");
      writeFileSync(image, "");
      truncateSync(image, megabytes * 1_048_576);
      // All of it made at once: else the kernel writes its tables for minutes while somebody counts what is written.
      const atOnce = "lazy_itable_init=0,lazy_journal_init=0";
      execFileSync("mkfs.ext4", ["-q", "-m", "0", "-E", atOnce, image], { stdio: "ignore" });
      execFileSync("mount", ["-o", "loop", image, this.folder], { stdio: "ignore" });
      this.kind = "ext4";
    } catch {
      rmSync(image, { force: true });
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", this.folder]);
      this.kind = "tmpfs";
    }
  }

  freeBytes(): number {
    const disk = statfsSync(this.folder);
    return disk.bavail * disk.bsize;
  }

  /** Somebody else's data takes all but so much. */
  fillTo(leaveBytes: number): void {
    const most = this.freeBytes() - leaveBytes - ROUGHLY_BYTES;
    // Fast, and nothing is written for it; the rest is exact.
    if (most > 0) execFileSync("fallocate", ["-l", String(most), this.#balloon]);
    const file = openSync(this.#balloon, "a");
    const chunk = Buffer.alloc(CHUNK_BYTES, 0x5a);
    while (this.freeBytes() > leaveBytes + CHUNK_BYTES) writeSync(file, chunk);
    fsyncSync(file);
    closeSync(file);
  }

  /** Somebody else's data is gone. */
  free(): void {
    rmSync(this.#balloon, { force: true });
  }

  remove(): void {
    execFileSync("umount", ["-l", this.folder]);
  }
}
