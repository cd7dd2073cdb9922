import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import { makeBackup } from "../backup/backup.ts";
import { checkBackup } from "../backup/check.ts";
import { BackupError } from "../backup/errors.ts";
import type { Manifest } from "../backup/manifest.ts";
import { gatewayName } from "../check-fleet.ts";
import { EXIT_DONE, EXIT_FAILED } from "../errors.ts";
import { keyringOfFiles } from "../store/keyring.ts";
import type { VerifyResult } from "../store/verify.ts";
import { dataDirectory, findConfig, type Where } from "./data.ts";
import { bytes, count, iso, painter, safe } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createProgress } from "./progress.ts";

interface Options extends Where {
  readonly keys: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
It works while the daemon runs and while it does not. With the gateway's keys in it whoever has the file is this gateway:
keep it as a secret. What lies outside of the data directory, /etc/holdfast/credentials above all, is not in it.

Examples:
  holdfast backup /mnt/usb/plant-7.tar.gz
  holdfast backup verify /mnt/usb/plant-7.tar.gz
  holdfast restore /mnt/usb/plant-7.tar.gz`;

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const backup = program
    .command("backup")
    .description("the whole gateway in one file: log, control, keys, certificates, models, configuration")
    .argument("[file]", "where it is written, such as plant-7.tar.gz")
    .option("--without-keys", "leave out private keys and certificates")
    .option("--force", "write over a file of this name")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object")
    .addHelpText("after", EXAMPLES)
    .action((file: string | undefined, options: Omit<Options, "keys"> & { withoutKeys?: boolean }) =>
      run(async () => {
        if (file === undefined) backup.error("error: missing required argument 'file'");
        return await make(file ?? "", { ...options, keys: options.withoutKeys !== true }, io);
      }),
    );
  backup
    .command("verify")
    .description("look at every digest in a backup, and compute the chain of its log again; changes nothing")
    .argument("<file>", "the backup")
    .option(
      "--key <file>",
      "public key of the gateway, kept elsewhere (default: those in the backup)",
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .option("--json", "one JSON object")
    .addHelpText("after", "\nExample:\n  holdfast backup verify plant-7.tar.gz --key plant-7.pub")
    .action((file: string, options: { key: readonly string[] }, command: Command) =>
      run(() => verify(file, { ...options, json: command.optsWithGlobals()["json"] === true }, io)),
    );
};

async function make(file: string, options: Options, io: Io): Promise<number> {
  const directory = dataDirectory(options, io);
  const config = findConfig(options);
  const progress = createProgress(io, "bytes", options.json === true);
  const to = resolve(file);
  try {
    const { bytes: size, manifest } = await makeBackup({
      ...{ dataDirectory: directory, config, gateway: nameOf(config, io), to, withKeys: options.keys },
      ...{ overwrite: options.force === true, wallMs: Date.now(), stop: io.stop, progress: progress.show },
    });
    progress.end();
    if (options.json === true) io.out(`${JSON.stringify({ file: to, bytes: size, ...manifest })}\n`);
    else io.out(told(to, size, manifest, config));
    return EXIT_DONE;
  } finally {
    progress.end();
  }
}

/** With mistakes in the file the machine's name has to do. */
function nameOf(config: string | undefined, io: Io): string {
  const loaded = config === undefined ? undefined : loadConfig({ file: config, environment: io.environment });
  return loaded?.ok === true ? gatewayName(loaded) : hostname();
}

function told(file: string, size: number, manifest: Manifest, config: string | undefined): string {
  const { head, hasKeys, latched } = manifest;
  const keys = hasKeys
    ? "With its private keys and certificates: whoever has this file is this gateway. Keep it as a secret."
    : "Without private keys and certificates: restored elsewhere, the gateway signs with a new key and joins its fleet anew.";
  const files =
    config === undefined
      ? "No configuration: none was named or found."
      : `Not in it: secrets outside of the data directory (/etc/holdfast/credentials, files that ${safe(config)} names).`;
  return [
    `${safe(file, 400)}  ${bytes(size)}`,
    `${count(manifest.files.length)} files of ${safe(manifest.gateway)}: the log up to start ${head.ordinal}, row ${count(head.n)}${latched ? "; effects were stopped, and will be after a restore" : ""}.`,
    keys,
    files,
    `Look whether it is whole: holdfast backup verify ${safe(file, 400)}`,
    "",
  ].join("\n");
}

interface VerifyOptions {
  readonly key: readonly string[];
  readonly json: boolean;
}

/** Opens a backup as the user who runs this; throws BACKUP_UNREADABLE. */
export function openBackup(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY);
  } catch (cause) {
    throw new BackupError("BACKUP_UNREADABLE", { file: path }, { cause });
  }
}

async function verify(path: string, options: VerifyOptions, io: Io): Promise<number> {
  const file = openBackup(path);
  const folder = mkdtempSync(join(tmpdir(), "holdfast-verify-"));
  const progress = createProgress(io, "bytes", options.json);
  try {
    const keyring = options.key.length === 0 ? undefined : keyringOfFiles(options.key);
    const { manifest, log } = await checkBackup({
      ...{ file, folder, keyring, stop: io.stop },
      roomHint: "It is taken apart in the folder for temporary files: name another one with TMPDIR.",
      progress: (step, done, share) => step === "bytes" && progress.show(done, share),
    });
    progress.end();
    if (options.json) io.out(`${JSON.stringify({ ok: log.ok, manifest, log })}\n`);
    else io.out(`${manifestText(manifest)}\n${logText(log, io)}\n`);
    return log.ok ? EXIT_DONE : EXIT_FAILED;
  } finally {
    progress.end();
    closeSync(file);
    rmSync(folder, { recursive: true, force: true });
  }
}

export function manifestText({ gateway, createdAt, holdfast, files, head, hasKeys, latched }: Manifest): string {
  const total = files.reduce((sum, one) => sum + one.bytes, 0);
  return [
    `Backup of ${safe(gateway)}, made ${iso(createdAt)} by version ${safe(holdfast)}: ${count(files.length)} files, ${bytes(total)}.`,
    `The log up to start ${head.ordinal}, row ${count(head.n)}; ${hasKeys ? "with" : "without"} private keys${latched ? "; effects were stopped" : ""}.`,
  ].join("\n");
}

export function logText(log: VerifyResult, io: Io): string {
  const paint = painter(io);
  if (log.bad !== undefined)
    return `Every file is as it was written. ${paint("The chain of the log is broken", "red")}: ${log.bad.what} at start ${log.bad.epoch}, seq ${log.bad.seq}. ${safe(log.bad.detail, 400)}`;
  const { checked, unsigned } = log.signatures;
  const signed = !checked ? ", signatures not checked" : unsigned.length === 0 ? ", and so do its signatures" : "";
  return `Every file is as it was written; ${paint("the chain of the log holds", "green")}, ${count(log.rows)} rows${signed}.`;
}
