import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { becomes } from "../claims.ts";

const ROOT = "/usr/lib/postgresql";
/** More than there are in reserve: 16 MB each. */
const MOST_SEGMENTS = 12;
const execute = promisify(execFile);

/** Where initdb and postgres are; undefined: nowhere. */
export function postgresBinaries(): string | undefined {
  const versions = existsSync(ROOT) ? readdirSync(ROOT) : [];
  return versions.map((one) => join(ROOT, one, "bin")).find((folder) => existsSync(join(folder, "initdb")));
}

export interface OwnPostgres {
  readonly url: string;
  /** The kind of end that a power cut is; start() brings it back. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Waits until it answers, and starts it where it ended; gives whether it had. */
  revive(): Promise<boolean>;
  /** Uses up what its write-ahead log has in reserve. */
  exhaustLog(): Promise<void>;
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
  /** Where it writes what it says. */
  readonly log?: string | undefined;
}

/** A cluster of its own, reached by a socket in its folder alone. */
export async function startPostgres({ folder: given, settings = [], log }: PostgresPlace = {}): Promise<OwnPostgres> {
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
  const answers = (): boolean => spawnSync(join(bin, "pg_isready"), ["-h", folder, "-U", "test"]).status === 0;
  const start = async (): Promise<void> => {
    const all = ["listen_addresses=", ...settings].flatMap((one) => ["-c", one]);
    child = spawn(join(bin, "postgres"), ["-D", data, "-k", folder, ...all], {
      ...who,
      stdio: ["ignore", "ignore", log === undefined ? "ignore" : openSync(log, "a")],
    });
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
    revive: async () => {
      await becomes(() => ended() || answers(), 30_000);
      if (!ended()) return false;
      await start();
      return true;
    },
    exhaustLog: async () => {
      const nextSegment = "SELECT pg_logical_emit_message(true, 'trial', 'x'), pg_switch_wal()";
      const args = ["-h", folder, "-U", "test", "-d", "postgres", "-c", nextSegment];
      for (let segment = 0; segment < MOST_SEGMENTS && !ended(); segment++)
        // It fails where there is none: that is what it is for.
        await execute(join(bin, "psql"), args, { timeout: 5000 }).catch(() => undefined);
    },
    end: () => void child?.kill("SIGQUIT"),
    kill: () => end("SIGQUIT"),
    stop: async () => {
      await end("SIGINT");
      rmSync(given === undefined ? folder : data, { recursive: true, force: true });
    },
  };
}
