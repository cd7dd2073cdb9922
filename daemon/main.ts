#!/usr/bin/env -S node --max-semi-space-size=4
import { constants } from "node:os";
import { explainError } from "./commands/failure.ts";
import { program } from "./commands/program.ts";
import { exitStatus } from "./errors.ts";

const LEAVE_MS = 500;
/** A terminal sends Ctrl-C to npm too, which sends it on: nobody presses twice so soon. */
const SAME_PRESS_MS = 500;
const stop = new AbortController();
let stoppedAtMs = 0;
// SIGHUP comes when a terminal closes: a clean stop too, or the next start would find a crash.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    // A second signal leaves at once: the person means it.
    if (stop.signal.aborted) {
      if (performance.now() - stoppedAtMs > SAME_PRESS_MS) process.exit(128 + constants.signals[name]);
      return;
    }
    stoppedAtMs = performance.now();
    stop.abort(name);
  });
}
// `holdfast decisions | head` closes the pipe early; that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const io = {
  environment: process.env,
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
  terminal: process.stdout.isTTY === true,
  columns: process.stdout.columns ?? 100,
  stop: stop.signal,
  ...(process.stdin.isTTY === true && process.stderr.isTTY === true ? { ask } : {}),
};

async function ask(question: string): Promise<string | undefined> {
  const { askTerminal } = await import("./commands/confirm.ts");
  return await askTerminal(question, stop.signal);
}

/** Under systemd each line says its priority (sd-daemon(3)), so that `journalctl -p warning` has why a start failed. */
function forJournal(text: string): string {
  return process.env["JOURNAL_STREAM"] === undefined ? text : text.replace(/^(?=.)/gm, "<3>");
}

try {
  process.exitCode = await program(process.argv.slice(2), io);
} catch (error) {
  io.err(forJournal(explainError(error)));
  process.exitCode = exitStatus(error);
  // What failed may have left something open; that keeps nobody here.
  setTimeout(() => process.exit(), LEAVE_MS).unref();
}
