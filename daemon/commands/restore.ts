import { closeSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { replaceConfig } from "../backup/config-files.ts";
import { BackupError } from "../backup/errors.ts";
import type { Manifest } from "../backup/manifest.ts";
import { asOwnerOf, atOnceAsOwnerOf } from "../backup/owner.ts";
import { type Restored, restoreBackup } from "../backup/restore.ts";
import { EXIT_DONE, EXIT_USAGE } from "../errors.ts";
import { logText, manifestText, openBackup } from "./backup.ts";
import { dataDirectory, findConfig, type Where } from "./data.ts";
import { iso, painter, safe } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { createProgress } from "./progress.ts";

interface Options extends Where {
  readonly yes?: boolean;
  readonly configToo?: boolean;
  readonly acceptBrokenChain?: boolean;
  readonly json?: boolean;
}

const NOTES = `
The daemon has to be stopped. All of the backup is looked at before anything is changed, and what was there is kept in a
folder before-restore-TIME in the data directory (the newest one; you may remove it). A gateway that is stopped stays
stopped, whatever the backup says. The next start tells that an older log was put back and goes on with an epoch of its own:
no number is used twice, and what was under way is not done again.

Example:
  systemctl stop holdfast
  holdfast restore /mnt/usb/plant-7.tar.gz
  systemctl start holdfast`;

export const verb = (io: Io) => (program: Command, run: RunVerb) =>
  void program
    .command("restore <file>")
    .description("put a backup in the data directory's place; the daemon has to be stopped")
    .option("--yes", "do not ask")
    .option("--config-too", "put back the configuration as well; each file that was there is kept beside it")
    .option("--accept-broken-chain", "restore a log also where its chain does not hold")
    .option("--config <file>", "the gateway's file")
    .option("--data <directory>", "its data directory")
    .option("--json", "one JSON object")
    .addHelpText("after", NOTES)
    .action((file: string, options: Options) => run(() => restore(file, options, io)));

async function restore(path: string, options: Options, io: Io): Promise<number> {
  if (options.yes !== true && io.ask === undefined) {
    io.err("holdfast: there is no terminal to ask at: say --yes to put the backup in the data directory's place\n");
    return EXIT_USAGE;
  }
  const directory = dataDirectory(options, io);
  const config = configFile(options);
  const file = openBackup(path);
  const progress = createProgress(io, "bytes", options.json === true);
  try {
    if (!existsSync(directory)) mkdirSync(directory, { recursive: true, mode: 0o750 });
    const wallMs = Date.now();
    const restored = await asOwnerOf(directory, () =>
      restoreBackup({
        ...{ dataDirectory: directory, file, wallMs, stop: io.stop, withConfig: options.configToo === true },
        acceptBrokenChain: options.acceptBrokenChain === true,
        progress: (step, done, share) => step === "bytes" && progress.show(done, share),
        confirm: async (manifest, isInUse) => {
          progress.end();
          return options.yes === true || (await isWanted(manifest, isInUse, directory, io));
        },
      }),
    );
    const suffix = restored.aside ?? `before-restore-${wallMs}`;
    const kept =
      config === undefined
        ? []
        : atOnceAsOwnerOf(dirname(config), () => replaceConfig(config, restored.config, suffix));
    io.out(
      options.json === true
        ? `${jsonOf(restored, directory, kept)}\n`
        : told(restored, directory, { config, kept }, io),
    );
    return EXIT_DONE;
  } finally {
    progress.end();
    closeSync(file);
  }
}

/** Undefined where the configuration is to stay as it is. */
function configFile(options: Options): string | undefined {
  if (options.configToo !== true) return undefined;
  const file = findConfig(options);
  if (file === undefined)
    throw new BackupError(
      "BACKUP_UNREADABLE",
      { configuration: "none" },
      { hint: "Name where it goes with --config." },
    );
  return resolve(file);
}

async function isWanted(manifest: Manifest, isInUse: boolean, directory: string, io: Io): Promise<boolean> {
  io.err(`${manifestText(manifest)}\n`);
  if (isInUse) io.err(`It takes the place of what is in ${directory}; that is kept in a folder there.\n`);
  return (await io.ask?.("Restore it? [yes/no] ")) === "yes";
}

function jsonOf(
  { manifest, log, aside, latch, keptCertificate, keptModes }: Restored,
  directory: string,
  kept: readonly string[],
) {
  const { gateway, createdAt, head } = manifest;
  return JSON.stringify({
    ...{ directory, gateway, createdAt, head, chain: log.ok, keptCertificate, keptConfig: kept },
    ...{ aside: aside === undefined ? null : join(directory, aside), latched: latch !== undefined, keptModes },
  });
}

interface Placed {
  readonly config: string | undefined;
  readonly kept: readonly string[];
}

function told(
  { manifest, log, aside, latch, keptCertificate, keptModes, config: files }: Restored,
  directory: string,
  { config, kept }: Placed,
  io: Io,
): string {
  const paint = painter(io);
  const lines = [manifestText(manifest), logText(log, io), `${paint("Restored", "green")} to ${directory}.`];
  if (aside !== undefined)
    lines.push(
      `What was there: ${join(directory, aside)}. When it is not needed any more: rm -r ${join(directory, aside)}`,
    );
  if (keptCertificate)
    lines.push("The fleet's certificate that was there is kept: it holds longer than the one in the backup.");
  if (keptModes.length > 0) lines.push(`Stays tighter than in the backup: ${safe(keptModes.join(", "), 240)}`);
  if (config !== undefined)
    lines.push(
      `The configuration is the backup's: ${files.length} files; as they were before: ${kept.join(", ") || "none"}`,
    );
  else if (files.length > 0) lines.push("The configuration was left as it is (--config-too puts back the backup's).");
  if (latch !== undefined)
    lines.push(
      `${paint("Effects are stopped", "yellow")}, since ${iso(latch.at)}: ${safe(latch.why)} (${safe(latch.by)}). They stay so until: holdfast release --nonce ${latch.nonce}`,
    );
  lines.push("Start it: systemctl start holdfast. It tells that an older log was put back, and goes on from there.");
  return `${lines.join("\n")}\n`;
}
