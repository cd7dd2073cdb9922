#!/usr/bin/env node
import { constants } from "node:os";
import { explainError } from "./commands/failure.ts";
import { EXIT_CONFIG, EXIT_FAILED } from "./commands/io.ts";
import { program } from "./commands/program.ts";
import { FleetConfigInvalid } from "./errors.ts";

const LEAVE_MS = 500;
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    // A second signal leaves at once: the person means it.
    if (stop.signal.aborted) process.exit(128 + constants.signals[name]);
    stop.abort(name);
  });
}
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const io = {
  environment: process.env,
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
  stop: stop.signal,
};

try {
  process.exitCode = await program(process.argv.slice(2), io);
} catch (error) {
  io.err(explainError(error));
  process.exitCode = error instanceof FleetConfigInvalid ? EXIT_CONFIG : EXIT_FAILED;
  setTimeout(() => process.exit(), LEAVE_MS).unref();
}
