import type { Command } from "commander";
import { streamNames } from "../../sync/records.ts";
import { EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { verifyLog } from "../store/verify.ts";
import { dataDirectory, type Where } from "./data.ts";
import { count, painter } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createProgress } from "./progress.ts";

interface Options extends Where {
  readonly json?: boolean;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const audit = program.command("audit").description("proof that the log is as it was written");
  audit
    .command("verify")
    .description(
      "compute the hash chain again from the rows; names the first row that was changed, removed, put in or moved",
    )
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory, or a copy of it")
    .option("--json", "one JSON object")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast audit verify --data /var/lib/holdfast\n\nExit status 1 when the chain is broken.",
    )
    .action((options: Options) => run(async () => verify(options, io)));
};

function verify(options: Options, io: Io): number {
  const progress = createProgress(io, "rows", options.json === true);
  const result = verifyLog({
    directory: dataDirectory(options, io),
    progress: (done, total) => progress.show(done, total === 0 ? 1 : done / total),
  });
  progress.end();
  if (options.json === true) io.out(`${JSON.stringify(result)}\n`);
  else {
    const paint = painter(io);
    const { bad } = result;
    const rows = `${count(result.rows)} rows of ${result.epochs} starts`;
    if (bad === undefined) {
      io.out(
        `${paint("The chain holds", "green")}: ${rows} are as they were written${result.droppedRows > 0 ? `, ${count(result.droppedRows)} were dropped by retention and are accounted for` : ""}.\n`,
      );
      if (result.unattested > 0)
        io.out(
          `${count(result.unattested)} newest rows are not covered by a chain head yet: nothing shows whether more followed.\n`,
        );
    } else {
      const place = `epoch ${bad.epoch}, stream ${streamNames[bad.stream] ?? bad.stream}, seq ${bad.seq}${bad.toSeq === undefined ? "" : ` to ${bad.toSeq}`}${bad.n === undefined ? "" : `, n ${bad.n}`}`;
      io.out(`${paint("The chain is broken", "red")}: ${bad.what} at ${place}.\n${bad.detail}\n`);
    }
  }
  return result.ok ? EXIT_DONE : EXIT_FAILED;
}
