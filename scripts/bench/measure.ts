import { readFileSync } from "node:fs";
import { startBroker } from "./broker.ts";
import { lastRow, readCommits, writerThread } from "./commit-file.ts";
import { TOPIC } from "./holdfast-config.ts";
import type { BenchModel } from "./model.ts";
import { folderBytes, inPlace, nowUs, type Place, sleep, startOutside } from "./place.ts";
import { type CpuUse, cpuDifference, cpuUse, programCpuUs, programPssBytes, writtenBytes } from "./processes.ts";
import { type Program, type ProgramName, startProgram } from "./program.ts";
import type { PublisherOptions } from "./publisher.ts";
import { type RowSummary, readRows } from "./rows.ts";
import { percentile } from "./statistics.ts";

export interface RunOptions {
  readonly program: ProgramName;
  readonly qos: 0 | 1;
  /** Messages a second; 0 floods. */
  readonly perSecond: number;
  readonly count: number;
  readonly commitDelayMs: number;
  readonly model: BenchModel;
  readonly inFlight: number;
  readonly keys: number;
  readonly profileFolder: string | undefined;
  readonly nodeFlags: readonly string[];
  /** Called about ten times a second while messages come. */
  readonly watch?: (program: Program) => void;
}

export interface RunFigures {
  readonly program: ProgramName;
  readonly sent: number;
  readonly decided: number;
  readonly lost: number;
  readonly twice: number;
  readonly unanswered: number;
  /** Decisions a second from the first durable one to the last. */
  readonly perSecond: number;
  readonly cpuUsPerDecision: number;
  readonly stagesUsPerDecision: {
    readonly main: number;
    readonly writer: number;
    readonly host: number;
    readonly other: number;
  };
  /** Cores in use while messages came at an even rate, the warm-up left out. */
  readonly cores: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  readonly pssBytes: number;
  readonly writtenBytesPerDecision: number;
  readonly keptBytesPerDecision: number;
  readonly rowsPerCommit: number;
  readonly brokerCores: number;
  readonly publisherCores: number;
}

/** Everything of a run, for those who look at single messages. */
export interface RunResult {
  readonly figures: RunFigures;
  readonly sentUs: Float64Array;
  readonly rows: RowSummary;
}

const POLL_MS = 100;
/** Left out of latency and cores at an even rate: connecting, compiling. */
export const WARM_UP_SECONDS = 5;
/** A program that writes nothing for so long will not write the rest. */
const STALLED_MS = 5000;

/** One program, from an empty directory through all messages to its orderly end. */
export function measureRun(options: RunOptions): Promise<RunResult> {
  return inPlace(options.profileFolder, (place) => measureIn(options, place));
}

async function measureIn(options: RunOptions, { folder, commitsFile, note, started }: Place): Promise<RunResult> {
  const sentFile = note("sent");
  const broker = started(await startBroker(folder, options.inFlight));
  const program = started(
    await startProgram({ ...options, name: options.program, acts: false, port: broker.port, folder, commitsFile }),
  );
  const firstTimeMs = options.perSecond === 0 ? Date.now() - options.count : Date.now();
  const before = {
    cpu: cpuUse(program.pid, undefined),
    written: writtenBytes(readFileSync(`/proc/${program.pid}/io`, "latin1")),
    kept: folderBytes(program.dataFolder),
    rows: lastRow(commitsFile),
    brokerUs: programCpuUs(broker.pid),
  };
  const fields = options.model.features.map((feature) => feature.name);
  const asked: PublisherOptions = { ...options, port: broker.port, topic: TOPIC, fields, firstTimeMs, sentFile };
  const publisher = started(startOutside<Published>("publisher", asked));
  const watched = await watchRun(options, program, commitsFile, before.rows + options.count, publisher.isDone);
  const published = await publisher.done;
  const seconds = (watched.endedUs - published.startedUs) / 1e6;
  const brokerCores = (programCpuUs(broker.pid) - before.brokerUs) / 1e6 / seconds;
  const cpu = cpuDifference(watched.cpu, before.cpu);
  await program.stop();
  await broker.stop();
  const commits = readCommits(commitsFile);
  const rows = readRows(program.database, commits, firstTimeMs, options.count);
  const io = readFileSync(`${commitsFile}.${program.pid}.io`, "latin1");
  const sentUs = new Float64Array(new Uint8Array(readFileSync(sentFile)).buffer);
  const perDecision = (amount: number): number => amount / Math.max(1, rows.messages);
  const figures: RunFigures = {
    program: options.program,
    sent: published.sent,
    decided: rows.messages,
    lost: published.sent - rows.messages,
    twice: rows.twice,
    unanswered: rows.unanswered,
    perSecond: durableRate(rows.durableUs),
    cpuUsPerDecision: perDecision(cpu.totalUs),
    stagesUsPerDecision: {
      main: perDecision(cpu.mainUs),
      writer: perDecision(cpu.writerUs),
      host: perDecision(cpu.hostUs),
      other: perDecision(cpu.otherUs),
    },
    cores: watched.cores,
    ...latencies(sentUs, rows.durableUs, options.perSecond * WARM_UP_SECONDS),
    pssBytes: watched.pssBytes,
    writtenBytesPerDecision: perDecision(writtenBytes(io) - before.written),
    keptBytesPerDecision: perDecision(folderBytes(program.dataFolder) - before.kept),
    rowsPerCommit: rows.messages / Math.max(1, commits.length / 2),
    brokerCores,
    publisherCores: published.cpuUs / 1e6 / seconds,
  };
  return { figures, sentUs, rows };
}

interface Watched {
  readonly cpu: CpuUse;
  readonly cores: number;
  readonly pssBytes: number;
  readonly endedUs: number;
}

/** Looks at the program until every message has its row, or nothing more comes. */
async function watchRun(
  options: RunOptions,
  program: Program,
  commitsFile: string,
  wantedRow: number,
  isDone: () => boolean,
): Promise<Watched> {
  const startedUs = nowUs();
  let warm: { atUs: number; cpuUs: number } | undefined;
  let cores = Number.NaN;
  let pssBytes = Number.NaN;
  let row = 0;
  let newsUs = startedUs;
  for (;;) {
    await sleep(POLL_MS);
    const now = nowUs();
    const writer = writerThread(commitsFile);
    if (!program.isRunning()) throw new Error(`${options.program} ended while messages came`);
    if (options.perSecond > 0 && warm === undefined && now - startedUs > WARM_UP_SECONDS * 1e6)
      warm = { atUs: now, cpuUs: programCpuUs(program.pid) };
    if (warm !== undefined && Number.isNaN(cores) && isDone()) {
      cores = (programCpuUs(program.pid) - warm.cpuUs) / (now - warm.atUs);
      pssBytes = programPssBytes(program.pid);
    }
    options.watch?.(program);
    const newest = lastRow(commitsFile);
    if (newest > row) newsUs = now;
    row = newest;
    if (isDone() && (row >= wantedRow || now - newsUs > STALLED_MS * 1000)) {
      return { cpu: cpuUse(program.pid, writer), cores, pssBytes, endedUs: row >= wantedRow ? now : newsUs };
    }
  }
}

interface Published {
  readonly sent: number;
  readonly startedUs: number;
  readonly cpuUs: number;
}

function durableRate(durableUs: Float64Array): number {
  const times = durableUs.filter((time) => time > 0).sort();
  const first = times[0] as number;
  // What came with the first commit was waiting before the clock began.
  const counted = times.filter((time) => time > first).length;
  return (counted * 1e6) / ((times.at(-1) as number) - first);
}

/** From the sending of each message to what came of it; those of which nothing came are left out. */
export function latencies(
  sentUs: Float64Array,
  endUs: Float64Array,
  skip: number,
): Pick<RunFigures, "p50Ms" | "p99Ms" | "p999Ms" | "maxMs"> {
  const all: number[] = [];
  for (let at = skip; at < endUs.length; at++) {
    if (endUs[at] !== 0) all.push(((endUs[at] as number) - (sentUs[at] as number)) / 1000);
  }
  const sorted = Float64Array.from(all).sort();
  return {
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    p999Ms: percentile(sorted, 0.999),
    maxMs: percentile(sorted, 1),
  };
}
