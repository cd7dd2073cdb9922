import { join, resolve } from "node:path";
import type { Command } from "commander";
import { loadConfig, type LoadedConfig } from "../../config/load.ts";
import { bundledExample } from "../assets.ts";
import { compose } from "../compose.ts";
import { ConfigInvalid, EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { loadLastGood, rememberLastGood } from "../last-good.ts";
import { startAll, stopAll, withinDeadline } from "../lifecycle.ts";
import { createLog, createTerminalLog, type Log } from "../log.ts";
import { version } from "../version.ts";
import { problemLines } from "./failure.ts";
import { findConfig } from "./data.ts";
import { greeting } from "./greeting.ts";
import type { Io } from "./io.ts";
import type { RunVerb } from "./program.ts";
import { logLine } from "./terminal-log.ts";
import { painter } from "./format.ts";

/** From SIGTERM to the end; the service manager waits a little longer. */
const STOP_DEADLINE_MS = 18_000;

interface Options {
  readonly config?: string;
  readonly data?: string;
  readonly lastGood?: boolean;
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
  const named = findConfig(options);
  const file = named ?? bundledExample();
  const fallbackData = named === undefined ? ".holdfast" : undefined;
  const loaded = load(file, options, io);
  const dataDirectory = resolve(options.data ?? fallbackData ?? join(loaded.result.baseDirectory, loaded.result.config.gateway.store.directory));
  const level = loaded.result.config.gateway.log.level;
  const log = io.terminal ? createTerminalLog(level, logLine(painter(io))) : createLog(level);
  log.info({ version: version(), config: file, data: dataDirectory }, "holdfast starts");
  if (loaded.problems.length > 0) {
    log.error({ config: file, problem: loaded.problems }, "the configuration has mistakes: the last good one is used");
  }
  const failure = Promise.withResolvers === undefined ? deferred<Error>() : Promise.withResolvers<Error>();
  const composed = await compose({
    loaded: loaded.result,
    dataDirectory,
    environment: io.environment,
    log,
    fail: failure.resolve,
    usesLastGood: loaded.problems.length > 0,
  });
  await startAll(composed.parts, io.stop, log);
  if (loaded.problems.length === 0) rememberLastGood(dataDirectory, loaded.result);
  composed.ready();
  if (io.terminal) io.out(greeting(composed, painter(io)));
  const why = await Promise.race([stopped(io.stop), failure.promise]);
  return await leave(composed.parts, why, log);
}

async function leave(parts: Parameters<typeof stopAll>[0], why: Error | string, log: Log): Promise<number> {
  if (why instanceof Error) log.fatal({ err: why, event: "stopping" }, "a part failed");
  else log.info({ signal: why, event: "stopping" }, "holdfast stops");
  await withinDeadline(stopAll(parts, log), STOP_DEADLINE_MS);
  log.info({ event: "stopped", reason: why instanceof Error ? why.message : why }, "holdfast stopped");
  return why instanceof Error ? EXIT_FAILED : EXIT_DONE;
}
