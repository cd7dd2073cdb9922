import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Environment } from "../../config/environment.ts";
import { type LoadedConfig, loadConfig, type Problem } from "../../config/load.ts";
import { callDaemon } from "../api/control-client.ts";
import { bundledModels } from "../assets.ts";
import { check as checkGeneration } from "../generation.ts";
import { keptCopies, likelyDataDirectory } from "../last-good.ts";
import type { Status } from "../status.ts";
import { type Account, accountOf } from "./account.ts";
import { runProgram } from "./run-program.ts";
import { loadedCredentials, UNIT, UNIT_PROPERTIES, type Unit, unitFiles, unitOf } from "./unit.ts";

/** Where the package puts the configuration that its service runs. */
const SERVICE_FILE = "/etc/holdfast/holdfast.yaml";
const ASK_MS = 4000;
const SYSTEMCTL_MS = 5000;

/** What all checks start from. */
export interface Site {
  /** Undefined: the bundled example is meant. */
  readonly file: string | undefined;
  /** The file, or the last one that worked where it has mistakes; undefined where neither can be read. */
  readonly loaded: LoadedConfig | undefined;
  readonly basis: "file" | "last good" | "nothing";
  readonly problems: readonly Problem[];
  readonly hasLastGood: boolean;
  readonly dataDirectory: string;
  readonly environment: Environment;
  /** Who the daemon runs as. */
  readonly account: Account;
  readonly isRoot: boolean;
  /** Undefined: systemd does not run here, or this is not the service's configuration. */
  readonly unit: Unit | undefined;
  /** Files that systemd gives to the service under a name, by LoadCredential=. */
  readonly credentials: ReadonlyMap<string, string>;
  /** Of the daemon that runs; undefined: none answers. */
  readonly status: Status | undefined;
}

export interface SiteOptions {
  readonly file: string | undefined;
  readonly data: string | undefined;
  readonly example: string;
  readonly environment: Environment;
}

export async function gatherSite({ file, data, example, environment }: SiteOptions): Promise<Site> {
  const named = file ?? example;
  const likely = file === undefined ? resolve(".holdfast") : likelyIn(file, environment);
  const given = data === undefined ? undefined : resolve(data);
  const read = loadConfig({ file: named, environment });
  const own = (loaded: LoadedConfig): string =>
    file === undefined ? likely : resolve(loaded.baseDirectory, loaded.config.gateway.store.directory);
  const dataDirectory = given ?? (read.ok ? own(read) : likely);
  const problems = read.ok ? await later(read, dataDirectory) : read.problems;
  const kept = keptIn(dataDirectory, environment);
  const loaded = problems.length === 0 && read.ok ? read : (kept ?? (read.ok ? read : undefined));
  const [unit, status] = await Promise.all([
    file !== undefined && resolve(file) === SERVICE_FILE ? askSystemd() : undefined,
    askDaemon(dataDirectory),
  ]);
  return {
    ...{ file, loaded, problems, dataDirectory, environment, unit, status },
    credentials: loadedCredentials(unit === undefined ? [] : unitFiles(unit).map(textOf)),
    basis: loaded === undefined ? "nothing" : loaded === read ? "file" : "last good",
    hasLastGood: kept !== undefined,
    account: accountFor(unit, dataDirectory),
    isRoot: process.geteuid?.() === 0,
  };
}

/** Mistakes beyond the schema, but for those of models: a check of their own tells these. */
async function later(loaded: LoadedConfig, dataDirectory: string): Promise<readonly Problem[]> {
  const places = { dataDirectory, bundled: bundledModels() };
  // What throws here is a folder that this user may not read: the check of the models says so.
  const { problems } = await checkGeneration(loaded, places).catch(() => ({ problems: [] }));
  return problems.filter(({ path }) => !/^models\.|^agents\.[^.]+\.model$/.test(path));
}

function likelyIn(file: string, environment: Environment): string {
  try {
    return likelyDataDirectory(file, environment);
  } catch {
    // It may not be read: then it is where the package has it.
    return resolve(file) === SERVICE_FILE ? "/var/lib/holdfast" : resolve(dirname(file), ".holdfast");
  }
}

function keptIn(dataDirectory: string, environment: Environment): LoadedConfig | undefined {
  try {
    const read = keptCopies(dataDirectory).map((kept) => loadConfig({ ...kept, environment }));
    return read.find((one) => one.ok);
  } catch {
    // Its own damage, or no right to look: as if there were none.
    return undefined;
  }
}

async function askSystemd(): Promise<Unit | undefined> {
  if (!existsSync("/run/systemd/system")) return undefined;
  const { code, out } = await runProgram(
    "systemctl",
    ["show", UNIT, `--property=${UNIT_PROPERTIES.join(",")}`],
    SYSTEMCTL_MS,
  );
  return code === 0 ? unitOf(out) : undefined;
}

async function askDaemon(dataDirectory: string): Promise<Status | undefined> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), ASK_MS);
  try {
    const asked = callDaemon({ dataDirectory, verb: "status", signal: late.signal });
    return ((await asked) as Status | null) ?? undefined;
  } catch {
    // Nobody listens: the checks of the service say what that means.
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** The unit's user; else who owns the data; else who asks. */
function accountFor(unit: Unit | undefined, dataDirectory: string): Account {
  const texts = [textOf("/etc/passwd"), textOf("/etc/group")] as const;
  const byUnit = unit?.["User"] ? accountOf(unit["User"], ...texts) : undefined;
  if (byUnit !== undefined) return byUnit;
  const uid = ownerOf(dataDirectory) ?? process.geteuid?.() ?? 0;
  const name = texts[0]
    .split("\n")
    .map((line) => line.split(":"))
    .find((row) => Number(row[2]) === uid)?.[0];
  const found = name === undefined ? undefined : accountOf(name, ...texts);
  return found ?? { user: String(uid), group: String(uid), uid, gids: [uid] };
}

function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid;
  } catch {
    // Not there, or not for this user to see.
    return undefined;
  }
}

export function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // What can not be read says nothing; the checks tell that they could not tell.
    return "";
  }
}
