import type { Command } from "commander";
import { DaemonError, EXIT_DONE } from "../errors.ts";
import type { LatchState } from "../latch.ts";
import { askAsPerson, type PersonOptions, personOptions } from "./ask.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends PersonOptions {
  readonly nonce?: string;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void personOptions(
    program
      .command("release")
      .description("let effects leave again after `holdfast stop`; for operators, on a running daemon")
      .option("--nonce <nonce>", "only the stop of this name, as `holdfast stop` and `holdfast status` show it"),
  )
    .addHelpText("after", "\nExample:\n  holdfast release --nonce 5f0c9d1e2a3b4c5d --data /var/lib/holdfast")
    .action((options: Options) => run(() => release(options, io)));

async function release(options: Options, io: Io): Promise<number> {
  const { nonce } = options;
  const state = await asked(options, io, nonce === undefined ? {} : { nonce });
  io.out(options.json === true ? `${JSON.stringify(state)}\n` : `Released by ${state.by}: effects may leave again.\n`);
  return EXIT_DONE;
}

async function asked(options: Options, io: Io, parameters: { readonly nonce?: string }): Promise<LatchState> {
  try {
    return (await askAsPerson(options, io, "release", parameters)) as LatchState;
  } catch (cause) {
    if (!(cause instanceof DaemonError) || cause.code !== "NOT_RUNNING") throw cause;
    // control.db is the running daemon's alone to write, and it says so too that effects are stopped.
    const hint = "Start the daemon, which stays stopped, and release then.";
    throw new DaemonError("NOT_RUNNING", cause.detail, { cause: cause.cause, hint });
  }
}
