import type { Command } from "commander";
import { addExport } from "./audit-export.ts";
import { addShow } from "./audit-show.ts";
import { addVerify } from "./audit-verify.ts";
import type { Io, RunVerb } from "./io.ts";

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const audit = program
    .command("audit")
    .description("who did what, when and why; proof that the log is as it was written");
  addShow(audit, run, io);
  addVerify(audit, run, io);
  addExport(audit, run, io);
};
