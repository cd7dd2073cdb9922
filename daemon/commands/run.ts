import { resolve } from "node:path";
import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import { type LoadedConfig, loadConfig, type Problem } from "../../config/load.ts";
import { bundledExample } from "../assets.ts";
import { isUnsettled } from "../backup/unsettled.ts";
import { type Composed, compose } from "../compose.ts";
import { ConfigInvalid, EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { type KeptCopy, keptCopies, likelyDataDirectory, rememberLastGood } from "../last-good.ts";
import { startAll, stopAll, withinDeadline } from "../lifecycle.ts";
import { createLog, createTerminalLog, type Log } from "../log.ts";
import { RETURNED, version } from "../version.ts";
import { findConfig } from "./data.ts";
import { painter } from "./format.ts";
import { greeting } from "./greeting.ts";
import type { Io, RunVerb } from "./io.ts";
import { logLine } from "./terminal-log.ts";

/** From SIGTERM to the end; the service manager waits a little longer. */
const STOP_DEADLINE_MS = 18_000;

interface Options {
  readonly config?: string;
  readonly data?: string;
  readonly lastGood?: boolean;
}

interface Chosen {
  readonly loaded: LoadedConfig;
  readonly dataDirectory: string;
  /** Mistakes of the file that the last good one stands in for. */
  readonly problems: readonly Problem[];
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("run")
    .description("run the gateway until SIGTERM; without --config, watch this machine with the bundled model")
    .option("--config <file>", "the gateway's file (default: ./holdfast.yaml, /etc/holdfast/holdfast.yaml)")
    .option("--data <directory>", "where the databases and models are kept; beats the file's store.directory")
    .option("--last-good", "when the file has mistakes, start with the last one that worked, and say so")
    .addHelpText("after", "\nExample:\n  holdfast run --config /etc/holdfast/holdfast.yaml")
    .action((options: Options) => run(() => runDaemon(options, io)));

async function runDaemon(options: Options, io: Io): Promise<number> {
  // What the hot path leaves behind dies young and is little: helper threads for it cost more than they bring.
  setFlagsFromString("--no-parallel-scavenge");
  const named = findConfig(options);
  const file = named ?? bundledExample();
  const fail = deferred<Error>();
  const { chosen, composed, log } = await build(
    file,
    { ...options, ...(named === undefined && options.data === undefined ? { data: ".holdfast" } : {}) },
    io,
    fail.resolve,
  );
  try {
    await startAll(composed.parts, io.stop, log);
    await composed.heartbeat?.ready();
  } catch (error) {
    if (!io.stop.aborted) throw error;
    log.info({ event: "stopped", signal: String(io.stop.reason) }, "holdfast stopped before it was ready");
    return EXIT_DONE;
  }
  if (chosen.problems.length === 0) keepLastGood(chosen, log);
  if (io.terminal) io.out(greeting(composed.status(), painter(io), { file, data: options.data }));
  const why = await Promise.race([stopped(io.stop), fail.promise]);
  return await leave(composed, why, log);
}

interface Built {
  readonly chosen: Chosen;
  readonly composed: Composed;
  readonly log: Log;
}

/** Builds from the file; with --last-good, from the kept copy when the file has mistakes. */
async function build(file: string, options: Options, io: Io, fail: (error: Error) => void): Promise<Built> {
  try {
    return await compositionOf(choose(file, options, io, []), file, io, fail);
  } catch (error) {
    if (!(error instanceof ConfigInvalid) || options.lastGood !== true) throw error;
    const dataDirectory =
      options.data === undefined ? likelyDataDirectory(file, io.environment) : resolve(options.data);
    await settle(dataDirectory, io);
    const stand = async ({ file: copy, baseDirectory }: KeptCopy): Promise<Built> => {
      const chosen = choose(copy, { ...options, data: dataDirectory }, io, error.problems, baseDirectory);
      return await compositionOf(chosen, file, io, fail);
    };
    for (const kept of keptCopies(dataDirectory)) {
      const built = await stand(kept).catch((cause: unknown) => notUsable(kept, cause, io));
      if (built !== undefined) return built;
    }
    io.err(`holdfast: no configuration that worked is kept in ${dataDirectory}; --data names another folder\n`);
    throw error;
  }
}

/** A copy that was torn is passed over for the next one. */
function notUsable({ file }: KeptCopy, error: unknown, io: Io): undefined {
  if (!(error instanceof ConfigInvalid)) throw error;
  io.err(`holdfast: the kept copy ${file} can not be used either\n`);
  return undefined;
}

/** Before anything in the directory is read: a restore or a reset that was cut short is finished. */
async function settle(dataDirectory: string, io: Io): Promise<void> {
  if (!isUnsettled(dataDirectory)) return;
  const { settleDirectory } = await import("../backup/swap.ts");
  if (settleDirectory(dataDirectory)) io.err(`holdfast: a restore or reset of ${dataDirectory} was finished\n`);
}

/** On a full disk the older copy stays: no reason not to run. */
function keepLastGood({ dataDirectory, loaded }: Chosen, log: Log): void {
  try {
    rememberLastGood(dataDirectory, loaded);
  } catch (err) {
    log.warn({ part: "run", err }, "configuration is not kept for --last-good");
  }
}

function choose(file: string, options: Options, io: Io, problems: readonly Problem[], baseDirectory?: string): Chosen {
  const loaded = loadConfig({
    file,
    environment: io.environment,
    ...(baseDirectory === undefined ? {} : { baseDirectory }),
  });
  if (!loaded.ok) throw new ConfigInvalid(loaded.problems);
  const dataDirectory =
    options.data === undefined
      ? resolve(loaded.baseDirectory, loaded.config.gateway.store.directory)
      : resolve(options.data);
  return { loaded, dataDirectory, problems };
}

async function compositionOf(chosen: Chosen, file: string, io: Io, fail: (error: Error) => void): Promise<Built> {
  const { level } = chosen.loaded.config.gateway.log;
  const log = io.terminal ? createTerminalLog(level, logLine(painter(io))) : createLog(level, io.environment);
  const { loaded, dataDirectory, problems } = chosen;
  await settle(dataDirectory, io);
  const composed = await compose({
    loaded,
    dataDirectory,
    environment: io.environment,
    log,
    fail,
    usesLastGood: problems.length > 0,
  });
  log.info(
    {
      event: "starting",
      version: version(),
      config: file,
      data: dataDirectory,
      generation: composed.prepared.digest.slice(0, 16),
    },
    "holdfast starts",
  );
  const returned = io.environment[RETURNED];
  if (returned !== undefined) log.error({ event: "returned", reason: returned }, "the version before runs again");
  if (problems.length > 0)
    log.error(
      {
        event: "lastGood",
        config: file,
        problem: problems,
        hint: "Correct the file and restart: holdfast check-config lists its mistakes.",
      },
      "the configuration has mistakes; the last good one is used",
    );
  return { chosen, composed, log };
}

async function leave(composed: Composed, why: Error | string, log: Log): Promise<number> {
  if (why instanceof Error) log.fatal({ err: why, event: "stopping" }, "a part failed");
  else log.info({ signal: why, event: "stopping" }, "holdfast stops");
  await composed.heartbeat?.stopping();
  await withinDeadline(stopAll(composed.parts, log), STOP_DEADLINE_MS);
  log.info({ event: "stopped", reason: why instanceof Error ? why.message : why }, "holdfast stopped");
  return why instanceof Error ? EXIT_FAILED : EXIT_DONE;
}

function stopped(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const tell = (): void => resolve(String(signal.reason));
    if (signal.aborted) tell();
    else signal.addEventListener("abort", tell, { once: true });
  });
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
