import { readFileSync } from "node:fs";
import { startBroker } from "./broker.ts";
import { lastRow, writerThread } from "./commit-file.ts";
import { TOPIC } from "./holdfast-config.ts";
import { latencies, type RunOptions, WARM_UP_SECONDS } from "./measure.ts";
import { folderBytes, inPlace, nowUs, type Outside, type Place, sleep, startOutside } from "./place.ts";
import type { PlantFigures, PlantOptions } from "./plant.ts";
import { type CpuUse, cpuDifference, cpuUse, writtenBytes } from "./processes.ts";
import { type Program, type ProgramName, startProgram } from "./program.ts";
import { readEnds } from "./rows.ts";

/** A run in which each message leads to an effect: a command that a valve gets, obeys and confirms. */
export interface ActFigures {
  readonly program: ProgramName;
  readonly sent: number;
  readonly effects: number;
  readonly lost: number;
  readonly twice: number;
  /** Of Holdfast: actions whose effect was read back, and the others by how they ended. The bare loop reads nothing back. */
  readonly verified: number;
  readonly otherEnds: Readonly<Record<string, number>>;
  /** Decisions that had to do without the model's answer, and so proposed nothing. */
  readonly unanswered: number;
  /** Effects a second from the first to the last. */
  readonly perSecond: number;
  readonly cpuUsPerAction: number;
  readonly stagesUsPerAction: Readonly<Record<"main" | "writer" | "host" | "other", number>>;
  /** From the sensor's write to the valve's reading. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  readonly writtenBytesPerAction: number;
  readonly keptBytesPerAction: number;
  readonly commitsPerAction: number;
  readonly plantCores: number;
}

const POLL_MS = 100;
const NOTHING_READ: ReturnType<typeof readEnds> = { unanswered: 0, ends: {} };
/** When nothing was written for so long, everything was. */
const QUIET_MS = 700;

/** One program, from an empty directory through all effects to its orderly end. */
export function measureAct(options: RunOptions): Promise<ActFigures> {
  return inPlace(options.profileFolder, (place) => measureIn(options, place));
}

async function measureIn(options: RunOptions, { folder, commitsFile, note, started }: Place): Promise<ActFigures> {
  const broker = started(await startBroker(folder, options.inFlight));
  const { port } = broker;
  const program = started(
    await startProgram({ ...options, name: options.program, acts: true, port, folder, commitsFile }),
  );
  const before = {
    cpu: cpuUse(program.pid, undefined),
    written: writtenBytes(readFileSync(`/proc/${program.pid}/io`, "latin1")),
    kept: folderBytes(program.dataFolder),
  };
  const fields = options.model.features.map((feature) => feature.name);
  const [sentFile, effectsFile] = [note("sent"), note("effects")];
  const firstTimeMs = Date.now() - (options.perSecond === 0 ? options.count : 0);
  const asked: PlantOptions = { ...options, port, topic: TOPIC, fields, firstTimeMs, sentFile, effectsFile };
  const plant = started(startOutside<PlantFigures>("plant", asked));
  const cpu = cpuDifference(await untilQuiet(options, program, plant, commitsFile), before.cpu);
  const { sent, effects, twice, startedUs, cpuUs } = await plant.done;
  const seconds = (nowUs() - startedUs) / 1e6;
  await program.stop();
  await broker.stop();
  const io = readFileSync(`${commitsFile}.${program.pid}.io`, "latin1");
  const [sentUs, effectUs] = [numbersIn(sentFile), numbersIn(effectsFile)];
  const { unanswered, ends } = options.program === "bare" ? NOTHING_READ : readEnds(program.database);
  const { verified = 0, ...otherEnds } = ends;
  const perAction = (amount: number): number => amount / Math.max(1, effects);
  const commits = readFileSync(commitsFile).length / 16;
  return {
    program: options.program,
    ...{ sent, effects, twice, verified, otherEnds, unanswered },
    lost: sent - effects,
    perSecond: effectRate(effectUs),
    cpuUsPerAction: perAction(cpu.totalUs),
    stagesUsPerAction: {
      main: perAction(cpu.mainUs),
      writer: perAction(cpu.writerUs),
      host: perAction(cpu.hostUs),
      other: perAction(cpu.otherUs),
    },
    ...latencies(sentUs, effectUs, options.perSecond * WARM_UP_SECONDS),
    writtenBytesPerAction: perAction(writtenBytes(io) - before.written),
    keptBytesPerAction: perAction(folderBytes(program.dataFolder) - before.kept),
    commitsPerAction: perAction(commits),
    plantCores: cpuUs / 1e6 / seconds,
  };
}

/** Until every effect is there and everything about them is written down; the CPU that this took. */
async function untilQuiet(
  options: RunOptions,
  program: Program,
  plant: Outside<PlantFigures>,
  commitsFile: string,
): Promise<CpuUse> {
  let row = 0;
  let newsUs = nowUs();
  while (!plant.isDone() || nowUs() - newsUs < QUIET_MS * 1000) {
    await sleep(POLL_MS);
    if (!program.isRunning()) throw new Error(`${options.program} ended while messages came`);
    options.watch?.(program);
    const newest = lastRow(commitsFile);
    if (newest > row) newsUs = nowUs();
    row = newest;
  }
  return cpuUse(program.pid, writerThread(commitsFile));
}

function effectRate(effectUs: Float64Array): number {
  const times = effectUs.filter((time) => time > 0).sort();
  return ((times.length - 1) * 1e6) / ((times.at(-1) ?? 0) - (times[0] ?? 0));
}

function numbersIn(file: string): Float64Array {
  return new Float64Array(new Uint8Array(readFileSync(file)).buffer);
}
