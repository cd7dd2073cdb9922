import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { IN_FLIGHT } from "./broker.ts";
import { measureRun, type RunResult } from "./measure.ts";
import { readModel } from "./model.ts";
import { plotText } from "./plot.ts";
import { programHandles, programPssBytes, programResidentBytes } from "./processes.ts";
import type { Program } from "./program.ts";
import { percentile, slope } from "./statistics.ts";

export interface SoakOptions {
  readonly minutes: string;
  readonly qos: string;
  readonly model?: string;
  readonly out: string;
}

/** One line of the table: the program as it is, and the latency of the messages of the seconds before. */
interface Sample {
  readonly second: number;
  readonly residentMb: number;
  readonly pssMb: number;
  readonly handles: number;
  readonly walMb: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

const PER_SECOND = 1000;
const EVERY_SECONDS = 10;
/** Slopes leave out the time in which buffers and compiled code find their size. */
const SETTLING_SHARE = 0.15;

export async function runSoak(options: SoakOptions): Promise<void> {
  const samples: Sample[] = [];
  const startedMs = performance.now();
  const result = await measureRun({
    program: "holdfast",
    qos: Number(options.qos) as 0 | 1,
    perSecond: PER_SECOND,
    count: Math.round(Number(options.minutes) * 60 * PER_SECOND),
    commitDelayMs: 25,
    model: readModel(options.model),
    inFlight: IN_FLIGHT,
    keys: 64,
    profileFolder: undefined,
    nodeFlags: [],
    watch: (program) => {
      const second = (performance.now() - startedMs) / 1000;
      if (second >= (samples.length + 1) * EVERY_SECONDS) samples.push(look(program, second));
    },
  });
  const lines = samples.filter((sample) => addLatency(sample, result));
  mkdirSync(options.out, { recursive: true });
  writeFileSync(join(options.out, "soak.csv"), csvText(lines));
  writeFileSync(join(options.out, "soak.svg"), plotText(panels(lines)));
  console.log(summaryText(lines, result));
}

function look(program: Program, second: number): Sample {
  const wal = `${program.database}-wal`;
  return {
    second: Math.round(second),
    residentMb: programResidentBytes(program.pid) / 1e6,
    pssMb: programPssBytes(program.pid) / 1e6,
    handles: programHandles(program.pid),
    walMb: existsSync(wal) ? statSync(wal).size / 1e6 : 0,
    p50Ms: Number.NaN,
    p99Ms: Number.NaN,
    maxMs: Number.NaN,
  };
}

/** False for the time after the last message. */
function addLatency(sample: Sample, { sentUs, rows }: RunResult): boolean {
  const from = (sample.second - EVERY_SECONDS) * PER_SECOND;
  const times: number[] = [];
  for (let at = from; at < from + EVERY_SECONDS * PER_SECOND && at < sentUs.length; at++) {
    if ((rows.durableUs[at] as number) > 0)
      times.push(((rows.durableUs[at] as number) - (sentUs[at] as number)) / 1000);
  }
  const sorted = Float64Array.from(times).sort();
  sample.p50Ms = percentile(sorted, 0.5);
  sample.p99Ms = percentile(sorted, 0.99);
  sample.maxMs = percentile(sorted, 1);
  return times.length > 0;
}

const columns = ["second", "residentMb", "pssMb", "handles", "walMb", "p50Ms", "p99Ms", "maxMs"] as const;

function csvText(samples: readonly Sample[]): string {
  const lines = samples.map((sample) => columns.map((name) => Number(sample[name].toFixed(3))).join(","));
  return `${[columns.join(","), ...lines].join("\n")}\n`;
}

function settled(samples: readonly Sample[]): readonly Sample[] {
  return samples.slice(Math.floor(samples.length * SETTLING_SHARE));
}

function perHour(samples: readonly Sample[], name: (typeof columns)[number]): number {
  const kept = settled(samples);
  return slope(
    kept.map((sample) => sample.second / 3600),
    kept.map((sample) => sample[name]),
  );
}

function panels(samples: readonly Sample[]): Parameters<typeof plotText>[0] {
  const minutes = samples.map((sample) => sample.second / 60);
  const line = (name: (typeof columns)[number], label: string) => ({
    label,
    values: samples.map((sample) => sample[name]),
  });
  const rises = (name: (typeof columns)[number], unit: string): string =>
    `${perHour(samples, name).toFixed(2)} ${unit} an hour`;
  return [
    {
      title: `Memory of all processes, MB (PSS: ${rises("pssMb", "MB")})`,
      minutes,
      lines: [line("residentMb", "RSS"), line("pssMb", "PSS")],
    },
    {
      title: `Message to durable row, ms (p99: ${rises("p99Ms", "ms")})`,
      minutes,
      lines: [line("p99Ms", "p99"), line("p50Ms", "p50")],
    },
    { title: `Write-ahead log, MB (${rises("walMb", "MB")})`, minutes, lines: [line("walMb", "WAL")] },
    { title: `Open handles (${rises("handles", "handles")})`, minutes, lines: [line("handles", "handles")] },
  ];
}

function summaryText(samples: readonly Sample[], { figures }: RunResult): string {
  const units = { residentMb: "MB", pssMb: "MB", handles: "", walMb: "MB", p50Ms: "ms", p99Ms: "ms" } as const;
  const lines = Object.entries(units).map(([name, unit]) => {
    const values = settled(samples).map((sample) => sample[name as keyof typeof units]);
    const range = `${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)} ${unit}`;
    return `${name.padEnd(11)} ${range.padEnd(24)} slope ${perHour(samples, name as keyof typeof units).toFixed(2)} ${unit} an hour`;
  });
  return [
    `${figures.decided} of ${figures.sent} messages decided, ${figures.twice} twice, ${figures.unanswered} unanswered`,
    ...lines,
  ].join("\n");
}
