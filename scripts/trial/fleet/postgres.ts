import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { becomes } from "../claims.ts";

const ROOT = "/usr/lib/postgresql";

/** Where initdb and postgres are; undefined: nowhere. */
export function postgresBinaries(): string | undefined {
  const versions = existsSync(ROOT) ? readdirSync(ROOT) : [];
  return versions.map((one) => join(ROOT, one, "bin")).find((folder) => existsSync(join(folder, "initdb")));
}

export interface OwnPostgres {
  readonly url: string;
  /** It can end by itself: on a full disk it does. */
  readonly isRunning: () => boolean;
  /** The kind of end that a power cut is; start() brings it back. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** At once, and nobody waits for it. */
  end(): void;
}

/** PostgreSQL does not run as root: then it runs as the user that Debian made for it. */
function identity(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((one) => one.startsWith("postgres:"));
  const [, , uid = "", gid = ""] = (line ?? "").split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

export interface PostgresPlace {
  /** Where it lies; a folder in the temporary one unless told. */
  readonly folder?: string | undefined;
  readonly settings?: readonly string[];
}

/** A cluster of its own, reached by a socket in its folder alone. */
export async function startPostgres({ folder: given, settings = [] }: PostgresPlace = {}): Promise<OwnPostgres> {
  const folder = given ?? mkdtempSync(join(tmpdir(), "holdfast-pg-"));
  const who = identity();
  if (who.uid !== undefined && who.gid !== undefined) chownSync(folder, who.uid, who.gid);
  const bin = postgresBinaries() ?? "";
  const data = join(folder, "data");
  const made = spawnSync(
    join(bin, "initdb"),
    ["-D", data, "-A", "trust", "-U", "test", "-E", "UTF8", "--no-sync"],
    who,
  );
  if (made.status !== 0) throw new Error(`initdb: ${String(made.stderr)}`);
  let child: ChildProcess | undefined;
  const ended = (): boolean => child === undefined || child.exitCode !== null || child.signalCode !== null;
  const url = `postgres://test@/postgres?host=${encodeURIComponent(folder)}`;
  const start = async (): Promise<void> => {
    const all = ["listen_addresses=", ...settings].flatMap((one) => ["-c", one]);
    child = spawn(join(bin, "postgres"), ["-D", data, "-k", folder, ...all], {
      ...who,
      stdio: "ignore",
    });
    const answers = (): boolean => spawnSync(join(bin, "pg_isready"), ["-h", folder, "-U", "test"]).status === 0;
    if (!(await becomes(answers, 30_000))) throw new Error("PostgreSQL does not start");
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child?.kill(signal);
    await becomes(ended, 20_000);
  };
  await start();
  return {
    url,
    start,
    isRunning: () => !ended(),
    end: () => void child?.kill("SIGQUIT"),
    kill: () => end("SIGQUIT"),
    stop: async () => {
      await end("SIGINT");
      rmSync(given === undefined ? folder : data, { recursive: true, force: true });
    },
  };
}
