import type { Command } from "commander";
import { streamNames } from "../../sync/records.ts";
import { verifyExport } from "../audit/export-file.ts";
import { EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import type { BadRow } from "../store/damage.ts";
import { keyringOfFiles } from "../store/keyring.ts";
import type { SignatureSummary } from "../store/signatures.ts";
import { type VerifyResult, verifyLog } from "../store/verify.ts";
import { dataDirectory, type Where } from "./data.ts";
import { count, type Paint, painter, safe } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createProgress } from "./progress.ts";

interface Options extends Where {
  readonly file?: string;
  readonly key: readonly string[];
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  holdfast audit verify --data /var/lib/holdfast --key gateway-7.pub
  holdfast audit verify --file export.ndjson --key gateway-7.pub

Keep a copy of gateway.pub elsewhere and name it with --key: who can change the log can change the one beside it too.
Exit status 1 when something was changed.`;

export function addVerify(audit: Command, run: RunVerb, io: Io): void {
  audit
    .command("verify")
    .description(
      "compute the hash chain again from the rows and check its signatures; names the first row that was changed, removed, put in or moved",
    )
    .option("--file <export>", "an export instead of a data directory")
    .option(
      "--key <file>",
      "public key of the gateway, more than one when it was replaced (default: those in the data directory, or in the export)",
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory, or a copy of it")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES)
    .action((options: Options) => run(async () => verify(options, io)));
}

function verify(options: Options, io: Io): number {
  const progress = createProgress(io, "rows", options.json === true);
  const show = (done: number, total: number): void => progress.show(done, total === 0 ? 1 : done / total);
  const keyring = options.key.length === 0 ? undefined : keyringOfFiles(options.key);
  const result =
    options.file === undefined
      ? verifyLog({ directory: dataDirectory(options, io), keyring, progress: show })
      : verifyExport({ path: options.file, keyring, progress: show });
  progress.end();
  io.out(options.json === true ? `${JSON.stringify(result)}\n` : text(result, painter(io)));
  return result.ok ? EXIT_DONE : EXIT_FAILED;
}

function text(result: VerifyResult, paint: Paint): string {
  const { bad, others, droppedRows, unattested } = result;
  if (bad !== undefined) {
    const more =
      others.length === 0 ? "" : `${others.map((one) => `  also ${one.what} at ${placeOf(one)}\n`).join("")}`;
    return `${paint("The chain is broken", "red")}: ${bad.what} at ${placeOf(bad)}.\n${safe(bad.detail, 400)}\n${more}`;
  }
  const dropped = droppedRows > 0 ? `, ${count(droppedRows)} were dropped by retention and are accounted for` : "";
  const lines = [
    `${paint("The chain holds", "green")}: ${count(result.rows)} rows of ${result.epochs} ${result.epochs === 1 ? "start" : "starts"} are as they were written${dropped}.`,
    ...signatureLines(result.signatures, paint),
  ];
  if (unattested > 0)
    lines.push(
      `${count(unattested)} newest rows are not covered by a chain head yet: nothing shows whether more followed.`,
    );
  return `${lines.join("\n")}\n`;
}

function signatureLines({ checked, signed, unsigned }: SignatureSummary, paint: Paint): string[] {
  const lines = signed.map(({ key, epochs, n }) => {
    const part = `by key ${key} up to row n ${n}, ${epochs.length === 1 ? "one start" : `${epochs.length} starts`}`;
    return checked
      ? `Signed ${part}.`
      : paint(`Signed ${part}: not checked, since no public key is at hand (--key).`, "yellow");
  });
  if (unsigned.length > 0)
    lines.push(paint(`Not signed: start${unsigned.length === 1 ? "" : "s"} ${ranges(unsigned)}.`, "yellow"));
  return lines;
}

function placeOf(bad: BadRow): string {
  const range = bad.toSeq === undefined ? "" : ` to ${bad.toSeq}`;
  const after = bad.afterN === undefined ? "" : `, after row n ${bad.afterN}`;
  const n = bad.n === undefined ? after : `, n ${bad.n}`;
  return `epoch ${bad.epoch}, stream ${streamNames[bad.stream] ?? bad.stream}, seq ${bad.seq}${range}${n}`;
}

/** "1 to 4, 7" */
function ranges(numbers: readonly number[]): string {
  const found: [number, number][] = [];
  for (const one of numbers) {
    const last = found.at(-1);
    if (last !== undefined && last[1] === one - 1) last[1] = one;
    else found.push([one, one]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from} to ${to}`)).join(", ");
}
