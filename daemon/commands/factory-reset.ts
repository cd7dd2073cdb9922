import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import { bundledExample } from "../assets.ts";
import { replaceConfig } from "../backup/config-files.ts";
import { BackupError } from "../backup/errors.ts";
import { asOwnerOf, atOnceAsOwnerOf } from "../backup/owner.ts";
import { type Loss, resetData } from "../backup/reset.ts";
import { gatewayName } from "../check-fleet.ts";
import { DaemonError, EXIT_DONE, EXIT_USAGE } from "../errors.ts";
import { dataDirectory, findConfig, type Where } from "./data.ts";
import { bytes, count, iso, painter, safe } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";

interface Options extends Where {
  readonly yes?: boolean;
  readonly keepIdentity?: boolean;
  readonly releaseLatch?: boolean;
  readonly discardUnsent?: boolean;
  readonly configToo?: boolean;
  readonly json?: boolean;
}

/** The configuration that the package came with. */
const FIRST = "/usr/share/holdfast/holdfast.yaml";

const NOTES = `
The daemon has to be stopped. Every decision goes, and the gateway's key and certificates too, unless they are kept: with
--keep-identity the fleet sees the same gateway with a break in its log. A gateway that is stopped stays stopped.

Example:
  systemctl stop holdfast
  holdfast backup /mnt/usb/plant-7.tar.gz
  holdfast factory-reset
  systemctl start holdfast`;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("factory-reset")
    .description("delete all data of this gateway, so that it starts as on its first day")
    .option("--yes", "do not ask for the gateway's name")
    .option("--keep-identity", "keep the gateway's key, its certificates, and how far its log had come")
    .option("--discard-unsent", "also where the fleet has not stored all of it")
    .option("--release-latch", "let effects leave again; otherwise what is stopped stays stopped")
    .option("--config-too", "put back the configuration that came with Holdfast; the old files are kept beside it")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object")
    .addHelpText("after", NOTES)
    .action((options: Options) => run(() => reset(options, io)));

async function reset(options: Options, io: Io): Promise<number> {
  if (options.yes !== true && io.ask === undefined) {
    io.err("holdfast: there is no terminal to ask at: say --yes to delete all data of this gateway\n");
    return EXIT_USAGE;
  }
  const directory = dataDirectory(options, io);
  if (!existsSync(directory))
    throw new DaemonError("NO_DATA", { directory }, { hint: "Name the daemon's data directory with --data." });
  const config = findConfig(options);
  if (options.configToo === true && config === undefined)
    throw new BackupError(
      "BACKUP_UNREADABLE",
      { configuration: "none" },
      { hint: "Name the gateway's file with --config." },
    );
  const loaded = config === undefined ? undefined : loadConfig({ file: config, environment: io.environment });
  const name = loaded?.ok === true ? gatewayName(loaded) : hostname();
  const wallMs = Date.now();
  const loss = await asOwnerOf(directory, () =>
    resetData({
      ...{
        dataDirectory: directory,
        wallMs,
        hasFleet: loaded?.ok === true && loaded.config.gateway.fleet !== undefined,
      },
      ...{ keepIdentity: options.keepIdentity === true, releaseLatch: options.releaseLatch === true },
      discardUnsent: options.discardUnsent === true,
      confirm: async (what) => options.yes === true || (await isMeant(what, name, directory, io)),
    }),
  );
  const kept = options.configToo === true && config !== undefined ? firstConfig(resolve(config), wallMs) : [];
  io.out(
    options.json === true ? `${jsonOf(loss, directory, options, kept)}\n` : told(loss, directory, options, kept, io),
  );
  return EXIT_DONE;
}

function firstConfig(main: string, wallMs: number): string[] {
  const first = existsSync(FIRST) ? FIRST : bundledExample();
  const files = [{ path: basename(main), bytes: readFileSync(first) }];
  return atOnceAsOwnerOf(dirname(main), () => replaceConfig(main, files, `before-reset-${wallMs}`));
}

async function isMeant(loss: Loss, name: string, directory: string, io: Io): Promise<boolean> {
  io.err(`${lossText(loss, directory)}\n`);
  return (await io.ask?.(`There is no way back. Type the gateway's name (${name}) to delete it: `)) === name;
}

function lossText({ decisions, records, unsent, bytes: size, names }: Loss, directory: string): string {
  const what =
    decisions === null
      ? "The database can not be read: how many decisions it has is not known."
      : `${count(decisions)} decisions, ${count(records ?? 0)} records in all.`;
  const lost = (unsent ?? 0) > 0 ? ` ${count(unsent ?? 0)} of them the fleet has never stored.` : "";
  return `In ${directory}: ${bytes(size)} in ${names.length} files and folders. ${what}${lost}`;
}

function jsonOf(loss: Loss, directory: string, options: Options, kept: readonly string[]): string {
  const { latch, ...rest } = loss;
  const latched = latch !== undefined && options.releaseLatch !== true;
  return JSON.stringify({ directory, ...rest, latched, keptIdentity: options.keepIdentity === true, keptConfig: kept });
}

function told(loss: Loss, directory: string, options: Options, kept: readonly string[], io: Io): string {
  const paint = painter(io);
  const { latch, others } = loss;
  const lines = [`${paint("Deleted", "green")}. ${lossText(loss, directory)}`];
  if (options.keepIdentity === true)
    lines.push("Key and certificates are kept: the next start tells that the log before is gone.");
  if (others.length > 0)
    lines.push(`Not Holdfast's, and left as it is: ${others.map((name) => safe(name)).join(", ")}`);
  if (options.configToo === true)
    lines.push(`The configuration is the first one; as it was before: ${kept.join(", ") || "none"}`);
  if (latch !== undefined)
    lines.push(
      options.releaseLatch === true
        ? "Effects were stopped and may leave again."
        : `${paint("Effects are stopped", "yellow")} still, since ${iso(latch.at)}: ${safe(latch.why)} (${safe(latch.by)}). Let them leave again: holdfast release --nonce ${latch.nonce}`,
    );
  lines.push("Start it: systemctl start holdfast");
  return `${lines.join("\n")}\n`;
}
