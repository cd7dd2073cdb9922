import { readdirSync, readFileSync, statfsSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock } from "../clock.ts";
import { parseSnapshot, type VitalName, type VitalSnapshot, vitalNames, vitalsBetween } from "./vitals-parse.ts";

export interface VitalsDeps {
  readonly clock: Clock;
  /** `values` in the order of `fieldNames`; NaN where this machine does not have the vital, or not now. */
  emit(values: readonly number[], fieldNames: readonly VitalName[], timeMs: number): void;
  /** Longest delay of the event loop since it was last asked, see `loopDelayMeter`. */
  readonly loopDelayMs?: () => number;
}

export interface VitalsOptions {
  readonly everySeconds: number;
  /** Its file system is the one that `disk_free` is about. */
  readonly dataDirectory: string;
  readonly fields?: readonly VitalName[];
}

/** Rates over a time in which the machine may have slept, or the process stood still, say nothing about now. */
const LONGEST_GAP_INTERVALS = 5;
const LONGEST_GAP_FLOOR_MS = 10_000;

/** The gateway's own condition, as a source of events. The first comes one interval after the start. */
export class VitalsSource {
  readonly name = "vitals";
  readonly #deps: VitalsDeps;
  readonly #fields: readonly VitalName[];
  readonly #columns: readonly number[];
  readonly #everyMs: number;
  readonly #machine: MachineReader;
  #before: VitalSnapshot | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: VitalsDeps, options: VitalsOptions) {
    this.#deps = deps;
    this.#fields = options.fields ?? vitalNames;
    this.#columns = this.#fields.map((name) => vitalNames.indexOf(name));
    this.#everyMs = options.everySeconds * 1000;
    this.#machine = new MachineReader(options.dataDirectory);
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#machine.look();
    this.#before = this.#snapshot();
    this.#timer = setInterval(() => this.#sample(), this.#everyMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #snapshot(): VitalSnapshot {
    return this.#machine.snapshot(this.#deps.clock.bootMs(), this.#deps.loopDelayMs?.());
  }

  #sample(): void {
    const before = this.#before;
    const now = this.#snapshot();
    this.#before = now;
    if (before === undefined || !comparable(before, now, this.#everyMs)) return;
    const all = vitalsBetween(before, now);
    const values = this.#columns.map((column) => all[column] ?? Number.NaN);
    this.#deps.emit(values, this.#fields, this.#deps.clock.wallMs());
  }
}

/** Whether rates between the two say something about the present. */
export function comparable(before: VitalSnapshot, now: VitalSnapshot, everyMs: number): boolean {
  const elapsedMs = now.bootMs - before.bootMs;
  return elapsedMs > 0 && elapsedMs <= Math.max(LONGEST_GAP_FLOOR_MS, LONGEST_GAP_INTERVALS * everyMs);
}

/** Reads the kernel's files. Synchronous: they are tiny, come from memory, and a promise each would cost more. */
export class MachineReader {
  readonly #dataDirectory: string;
  readonly #root: string;
  #wholeDisks: ReadonlySet<string> = new Set();
  #sensors: readonly string[] = [];

  /** `root` is where the files stand that are otherwise under /. */
  constructor(dataDirectory: string, root = "") {
    this.#dataDirectory = dataDirectory;
    this.#root = root;
  }

  /** Finds disks and sensors. Once at the start: walking /sys at each sample would cost more than all else. */
  look(): void {
    const virtual = /^(loop|ram|zram|dm-|md|fd|sr)/;
    this.#wholeDisks = new Set(list(`${this.#root}/sys/block`).filter((name) => !virtual.test(name)));
    const zones = list(`${this.#root}/sys/class/thermal`).filter((name) => name.startsWith("thermal_zone"));
    const sensors = list(`${this.#root}/sys/class/hwmon`).flatMap((chip) => {
      const inputs = list(`${this.#root}/sys/class/hwmon/${chip}`).filter((file) => /^temp\d+_input$/.test(file));
      return inputs.map((file) => `hwmon/${chip}/${file}`);
    });
    const files = [...zones.map((zone) => `thermal/${zone}/temp`), ...sensors];
    this.#sensors = files.map((file) => `${this.#root}/sys/class/${file}`);
  }

  snapshot(bootMs: number, loopDelayMs: number | undefined): VitalSnapshot {
    const proc = `${this.#root}/proc`;
    const texts = {
      stat: read(`${proc}/stat`),
      loadavg: read(`${proc}/loadavg`),
      meminfo: read(`${proc}/meminfo`),
      vmstat: read(`${proc}/vmstat`),
      pressureCpu: read(`${proc}/pressure/cpu`),
      pressureMemory: read(`${proc}/pressure/memory`),
      pressureIo: read(`${proc}/pressure/io`),
      diskstats: read(`${proc}/diskstats`),
      netDev: read(`${proc}/net/dev`),
      temperatures: this.#sensors.map((file) => read(file) ?? ""),
    };
    const readings = { bootMs, diskFreePercent: diskFree(this.#dataDirectory), loopDelayMs };
    return parseSnapshot(texts, readings, this.#wholeDisks);
  }
}

/**
 * A meter for `loopDelayMs`: each call says the longest delay since the last one, over the timer's own tick. A delay
 * that begins within one tick of a call goes unseen: the histogram needs a tick to start from.
 */
export function loopDelayMeter(): { read(): number; stop(): void } {
  const resolution = 20;
  const histogram = monitorEventLoopDelay({ resolution });
  histogram.enable();
  return {
    read: () => {
      const delayMs = histogram.count > 0 ? histogram.max / 1e6 - resolution : 0;
      histogram.reset();
      return Math.max(0, delayMs);
    },
    stop: () => {
      histogram.disable();
    },
  };
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    // not on this kernel, or switched off: the vital is absent
    return undefined;
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function diskFree(directory: string): number | undefined {
  try {
    const { bavail, blocks } = statfsSync(directory);
    return blocks > 0 ? (100 * bavail) / blocks : undefined;
  } catch {
    return undefined;
  }
}
