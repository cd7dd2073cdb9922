import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { openForReading } from "../../../daemon/store/sqlite-reader.ts";
import type { Machine } from "../service/machine.ts";
import { status, UNIT } from "../service/steps.ts";
import { type DiskCounters, type ProcessCounters, parseDisk, parseProcesses, SHOW_PROCESSES } from "./counters.ts";

/** What there is to see at one moment. */
export interface Look {
  readonly atMs: number;
  readonly daemon: ProcessCounters;
  readonly hosts: readonly ProcessCounters[];
  /** journald, which writes down what the daemon says. */
  readonly journal: ProcessCounters | undefined;
  /** Of the disk with the log alone. */
  readonly disk: DiskCounters;
  /** Pages of the log that hold something. */
  readonly logBytes: number;
  readonly decided: number;
  /** When the service said so. */
  readonly decidedAtMs: number;
}

/** Looks at the service of a machine from outside of it. */
export class Meter {
  readonly machine: Machine;
  readonly #disk: string;
  readonly #device: string;

  /** `disk`: where the file system with the service's data is mounted here. */
  constructor(machine: Machine, disk: string) {
    this.machine = machine;
    this.#disk = disk;
    this.#device = basename(execFileSync("findmnt", ["-no", "SOURCE", disk], { encoding: "utf8" }).trim());
  }

  hosts(): number {
    return this.#processes().length - 1;
  }

  walBytes(): number {
    return statSync(join(this.#disk, "records.db-wal"), { throwIfNoEntry: false })?.size ?? 0;
  }

  look(): Look {
    const decided = status(this.machine)?.passes.decided ?? Number.NaN;
    const decidedAtMs = performance.now();
    // What was written and not asked to be on the disk yet goes there now, so that each look finds nothing pending.
    execFileSync("sync", ["-f", this.#disk]);
    const disk = parseDisk(readFileSync(`/sys/block/${this.#device}/stat`, "utf8"));
    const logBytes = this.#logBytes();
    const [daemon, ...hosts] = this.#processes();
    const atMs = performance.now();
    if (daemon === undefined) throw new Error("the service does not run");
    const [journal] = this.#show(this.machine.try("pgrep", "-x", "systemd-journal").out.trim());
    return { atMs, daemon, hosts, journal, disk, logBytes, decided, decidedAtMs };
  }

  /** The daemon, then its inference hosts. */
  #processes(): ProcessCounters[] {
    const main = this.machine.property(UNIT, "MainPID");
    const children = this.machine.try("pgrep", "-P", main).out.trim().split("\n").filter(Boolean);
    const all = this.#show(main, ...children);
    return all.filter((one) => String(one.pid) === main || one.command.includes("models/host/main"));
  }

  #show(...pids: readonly string[]): ProcessCounters[] {
    return parseProcesses(this.machine.try("sh", "-c", SHOW_PROCESSES, "sh", ...pids).out);
  }

  #logBytes(): number {
    const database = openForReading(join(this.#disk, "records.db"), recordsSchema);
    try {
      const of = (name: string): number => Number(database.pragma(name, { simple: true }));
      return (of("page_count") - of("freelist_count")) * of("page_size");
    } finally {
      database.close();
    }
  }
}
