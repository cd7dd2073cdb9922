import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LIBRARY = "libfaketimeMT.so.1";
const DAY_SECONDS = 86_400;

/** A wall clock that is put forward and back while the daemon runs; boot time stays as it is. */
export class FakeTime {
  readonly #library: string;
  readonly #file: string;
  #days = 0;
  #seconds = 0;

  private constructor(library: string, file: string) {
    this.#library = library;
    this.#file = file;
    this.#write();
  }

  /** Undefined where Debian's faketime is not installed. */
  static inFolder(folder: string): FakeTime | undefined {
    const library = FakeTime.libraryPath();
    return library === undefined ? undefined : new FakeTime(library, join(folder, "faketime"));
  }

  variables(): string[] {
    return [
      `LD_PRELOAD=${this.#library}`,
      `FAKETIME_TIMESTAMP_FILE=${this.#file}`,
      "FAKETIME_CACHE_DURATION=1",
      "DONT_FAKE_MONOTONIC=1",
      "FAKETIME_DONT_FAKE_MONOTONIC=1",
      "NO_FAKE_STAT=1",
    ];
  }

  /** Jumps to another day: forward when it is today, back otherwise, or further. */
  jump(byDays: 1 | -1): void {
    this.#days = Math.max(-1, Math.min(1, this.#days + byDays));
    this.off(this.#days * DAY_SECONDS);
  }

  /** So many seconds from the true time; within a second where a daemon runs. */
  off(seconds: number): void {
    this.#seconds = seconds;
    this.#write();
  }

  #write(): void {
    const seconds = this.#seconds;
    writeFileSync(`${this.#file}.new`, `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }

  static libraryPath(): string | undefined {
    if (!existsSync("/usr/lib")) return undefined;
    for (const folder of readdirSync("/usr/lib").filter((name) => name.endsWith("-linux-gnu"))) {
      const path = join("/usr/lib", folder, "faketime", LIBRARY);
      if (existsSync(path)) return path;
    }
    return undefined;
  }
}
