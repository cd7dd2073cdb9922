import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { callAsPerson } from "../api/control-client.ts";
import { DaemonError, EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import type { LatchState } from "../latch.ts";
import { fitting } from "../latch-note.ts";
import { type Stopped, stopByFile } from "../stop-by-file.ts";
import { painter, safe } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

/** A daemon that is well says something at once; longer than this, the file is quicker. */
const HELLO_MS = 1000;
const ANSWER_MS = 5000;

interface Options {
  readonly config?: string;
  readonly data?: string;
  readonly tokenFile?: string;
  /** False with --no-kill. */
  readonly kill: boolean;
  readonly json?: boolean;
}

interface Told {
  readonly stopped: boolean;
  readonly latched: true;
  /** daemon: it said so itself; else what kind of end it was. */
  readonly how: "daemon" | Stopped["kind"];
  readonly why: string;
  readonly by: string;
  readonly nonce: string;
  readonly pid?: number;
  readonly reason?: string;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("stop <why>")
    .description("stop every effect but notifications, until a person releases it; deciding and recording go on")
    .option("--data <directory>", "the daemon's data directory; with it no configuration is read")
    .option("--config <file>", "the gateway's file, to find the data directory")
    .option("--token-file <file>", "file with your token; without it you are your user on this machine")
    .option("--no-kill", "leave a daemon that does not answer alive (one effect may then still be on its way)")
    .option("--json", "one JSON object")
    .addHelpText(
      "after",
      `
It returns once nothing more can leave. A daemon that does not answer is stopped by the file alone, and killed, since only
then nothing can leave. Exit status 1 when nothing shows that effects are stopped.

Example:
  holdfast stop "smoke in hall 3" --data /var/lib/holdfast`,
    )
    .action((why: string, options: Options) => run(() => stop(why, options, io)));

async function stop(why: string, options: Options, io: Io): Promise<number> {
  const directory = await stopDirectory(options, io);
  if (!isThere(directory))
    throw new DaemonError("NO_DATA", { directory }, { hint: "Name the daemon's data directory with --data." });
  const told = await stopHere(why, directory, options);
  io.out(options.json === true ? `${JSON.stringify(told)}\n` : `${words(told, directory, io)}\n`);
  return told.stopped ? EXIT_DONE : EXIT_FAILED;
}

function isThere(directory: string): boolean {
  try {
    return statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    // Not for this user to see: what follows says so.
    return true;
  }
}

/** Asks the daemon; where it does not answer as it should, whatever the reason, the file does it. */
async function stopHere(why: string, directory: string, options: Options): Promise<Told> {
  let cause: unknown;
  try {
    const parameters = { why, ...(await tokenOf(options)) };
    const patience = { helloMs: HELLO_MS, answerMs: ANSWER_MS };
    const answer = await callAsPerson({ dataDirectory: directory, verb: "stop", parameters, ...patience });
    const { by, nonce, reason, forgetful, ...state } = answer as LatchState;
    const isKept = forgetful !== true;
    return { stopped: isKept, latched: true, how: "daemon", why: state.why, by, nonce, ...(reason && { reason }) };
  } catch (error) {
    cause = error;
  }
  const nonce = randomBytes(8).toString("hex");
  const note = fitting({ latched: true, why, by: userName(), at: Date.now(), nonce });
  let end: Stopped;
  try {
    end = await stopByFile({ directory, note, mayKill: options.kill, isFree: () => isFree(directory) });
  } catch (error) {
    const hint = "Stop it as its own user or as root, or end the daemon: systemctl stop holdfast.";
    const socket = cause instanceof Error ? cause.message : String(cause);
    throw new DaemonError("NOT_STOPPED", { directory, socket, file: String(error) }, { cause: error, hint });
  }
  const { kind: how, ...more } = end;
  return { stopped: how !== "unsure", latched: true, how, why: note.why, by: note.by, nonce, ...more };
}

/** Nobody holds the directory: shown by holding it for a moment, whoever and wherever the holder is. */
async function isFree(directory: string): Promise<boolean | undefined> {
  const lockPath = join(directory, "lock.db");
  // A directory that no daemon has used is most likely the wrong one.
  if (statSync(lockPath, { throwIfNoEntry: false }) === undefined) return undefined;
  try {
    const { takeLock } = await import("../store/sqlite-writer.ts");
    const lock = takeLock(lockPath);
    lock?.close();
    return lock !== undefined;
  } catch {
    // This user may not open it.
    return undefined;
  }
}

/** A broken configuration keeps nobody from stopping. */
async function stopDirectory(options: Options, io: Io): Promise<string> {
  if (options.data !== undefined) return resolve(options.data);
  const { dataDirectory, findConfig } = await import("./data.ts");
  try {
    return dataDirectory(options, io);
  } catch {
    const { likelyDataDirectory } = await import("../last-good.ts");
    return likelyDataDirectory(findConfig(options) ?? "holdfast.yaml", io.environment);
  }
}

async function tokenOf({ tokenFile }: Options): Promise<{ token?: string }> {
  if (tokenFile === undefined) return {};
  const { readToken } = await import("./token.ts");
  return { token: readToken(tokenFile) };
}

function userName(): string {
  try {
    return `user:${userInfo().username}`;
  } catch {
    // A user that /etc/passwd does not know.
    return `user:${process.getuid?.() ?? "unknown"}`;
  }
}

function words(told: Told, directory: string, io: Io): string {
  const paint = painter(io);
  const { how, pid = 0, reason } = told;
  const head = told.stopped ? paint("Stopped", "green") : paint("Not sure that it is stopped", "red");
  const said: Readonly<Record<Told["how"], string>> = {
    daemon: `the daemon on ${directory} says that nothing more leaves`,
    acknowledged: "the daemon found the latch file and says that nothing more leaves",
    down:
      `no daemon runs on ${directory}; the next one that starts there finds the latch file. ` +
      "A gateway that runs with other data goes on: name it with --config or --data",
    ended: `the daemon (process ${pid}) has ended; the next one finds the latch file`,
    killed: `the daemon did not answer and was killed (process ${pid}); the next one finds the latch file`,
    unsure: `the latch file is written, but ${safe(reason ?? "")}: one effect may still be on its way`,
  };
  const warning =
    told.how === "daemon" && reason !== undefined ? `\n${paint("Warning", "yellow")}: ${safe(reason, 400)}` : "";
  return `${head}: ${said[how]}.${warning}\nLet effects leave again with: holdfast release --nonce ${told.nonce}`;
}
