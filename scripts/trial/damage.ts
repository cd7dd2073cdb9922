import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { epochs } from "../../daemon/store/queries.ts";
import { recordsSchema } from "../../daemon/store/schema.ts";
import { openForReading } from "../../daemon/store/sqlite-reader.ts";
import { verifyLog } from "../../daemon/store/verify.ts";
import { becomes, Claims, ledgersBalance } from "./claims.ts";
import { freePort, type LogLine, startDaemon, temporaryFolder } from "./daemon.ts";
import { busOf, decisionsIn, fixtureModel, goodAgent, goodPayload, goodTopic } from "./fixtures.ts";
import { Sensor } from "./sensor.ts";
import type { Trial } from "./trial.ts";

const PAGE_BYTES = 2048;
const WAIT_MS = 30_000;
const MORE = 50;
/** Who is not root, so that permissions count. */
const NOBODY = 65_534;

interface Case {
  readonly name: string;
  /** What is there before the damage: after kill -9, with its write-ahead log, or after a stop. */
  readonly after: "kill" | "stop";
  readonly damage: (data: string, base: Base) => void;
  /** Reasons of the new epoch that are right for it. */
  readonly reasons: readonly string[];
  /** The least share of the old decisions that must be there afterwards. */
  readonly keeps: number;
  readonly setsAside?: "records.db" | "control.db";
}

interface Base {
  readonly killed: string;
  readonly stopped: string;
  readonly older: string;
  readonly decisions: number;
}

const records = (data: string): string => join(data, "records.db");

/** Writes over some bytes of a file. */
function scribble(path: string, at: number, bytes: number, value = 0xa5): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(bytes, value), 0, bytes, at);
  closeSync(file);
}

function middlePage(data: string): number {
  return Math.floor(statSync(records(data)).size / PAGE_BYTES / 2) * PAGE_BYTES;
}

const cases: readonly Case[] = [
  { name: "kill -9, nothing else", after: "kill", damage: () => {}, reasons: ["crash"], keeps: 1 },
  {
    name: "the header overwritten",
    after: "stop",
    damage: (data) => scribble(records(data), 0, 100, 0),
    reasons: ["recovered"],
    keeps: 0,
    setsAside: "records.db",
  },
  {
    name: "a page in the middle overwritten",
    after: "stop",
    damage: (data) => scribble(records(data), middlePage(data), PAGE_BYTES),
    reasons: ["recovered"],
    keeps: 0.9,
    setsAside: "records.db",
  },
  {
    name: "the write-ahead log cut short",
    after: "kill",
    damage: (data) => {
      const wal = `${records(data)}-wal`;
      truncateSync(wal, Math.floor(statSync(wal).size * 0.6) + 13);
    },
    reasons: ["crash", "truncated"],
    keeps: 0.3,
  },
  {
    name: "the write-ahead log gone",
    after: "kill",
    damage: (data) => rmSync(`${records(data)}-wal`),
    reasons: ["crash", "truncated", "recovered", "restored"],
    keeps: 0,
  },
  {
    name: "an older file put back",
    after: "stop",
    damage: (data, base) => copyFileSync(records(base.older), records(data)),
    reasons: ["restored"],
    keeps: 0.2,
  },
  {
    name: "garbage instead of a database",
    after: "stop",
    damage: (data) => writeFileSync(records(data), Buffer.alloc(300_000, "no database ")),
    reasons: ["recovered"],
    keeps: 0,
    setsAside: "records.db",
  },
  {
    name: "a file of zero length",
    after: "stop",
    damage: (data) => truncateSync(records(data), 0),
    reasons: ["recovered"],
    keeps: 0,
    setsAside: "records.db",
  },
  {
    name: "half of the file",
    after: "stop",
    damage: (data) => truncateSync(records(data), middlePage(data)),
    reasons: ["recovered"],
    keeps: 0.3,
    setsAside: "records.db",
  },
  {
    name: "records.db deleted",
    after: "stop",
    damage: (data) => rmSync(records(data)),
    reasons: ["recovered"],
    keeps: 0,
  },
  {
    name: "control.db damaged",
    after: "stop",
    damage: (data) => scribble(join(data, "control.db"), 0, 4096),
    reasons: ["clean"],
    keeps: 1,
    setsAside: "control.db",
  },
  {
    name: "control.db and its copy damaged",
    after: "stop",
    damage: (data) => {
      for (const name of ["control.db", "control.db.bak"]) scribble(join(data, name), 0, 4096);
    },
    reasons: ["clean"],
    keeps: 1,
    setsAside: "control.db",
  },
];

/** Each kind of damage to the data directory: the daemon comes up and says what it found, or says why it does not. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  const folder = temporaryFolder("damage");
  try {
    const base = await makeBase(folder, options.rounds ?? 3000);
    claims.figure("decisions before the damage", base.decisions);
    for (const one of cases) await tryCase(one, folder, base, claims);
    flippedPayload(folder, base, claims);
    await forbidden(folder, base, claims);
  } finally {
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
};

function writeConfig(folder: string, port: number): string {
  const config = join(folder, "holdfast.yaml");
  const models = { linear: { directory: fixtureModel("linear") } };
  writeFileSync(
    config,
    JSON.stringify({ schemaVersion: 1, bus: busOf("embedded", port), agents: { good: goodAgent }, models }),
  );
  return config;
}

/** A data directory with some starts behind it: as an early stop, a late stop and a kill -9 left it. */
async function makeBase(folder: string, decisions: number): Promise<Base> {
  const data = join(folder, "base");
  const port = await freePort();
  const config = writeConfig(folder, port);
  const base = {
    killed: join(folder, "killed"),
    stopped: join(folder, "stopped"),
    older: join(folder, "older"),
    decisions,
  };
  let daemon = await startDaemon(config, data);
  await send(port, 0, Math.floor(decisions / 3));
  await daemon.stop();
  cpSync(data, base.older, { recursive: true, filter: isPlainFile });
  daemon = await startDaemon(config, data);
  await send(port, Math.floor(decisions / 3), decisions);
  await daemon.kill();
  cpSync(data, base.killed, { recursive: true, filter: isPlainFile });
  daemon = await startDaemon(config, data);
  await daemon.stop();
  cpSync(data, base.stopped, { recursive: true, filter: isPlainFile });
  return base;
}

function isPlainFile(path: string): boolean {
  const stat = statSync(path);
  return stat.isFile() || stat.isDirectory();
}

async function send(port: number, from: number, to: number): Promise<boolean> {
  const sensor = await new Sensor(port, "sensor").open();
  for (let index = from; index < to; index++) {
    await sensor.room(256);
    sensor.publish(goodTopic(index), goodPayload(index), 1);
  }
  const isSettled = await sensor.settled(WAIT_MS);
  sensor.close();
  return isSettled;
}

async function tryCase(one: Case, folder: string, base: Base, claims: Claims): Promise<void> {
  const { name } = one;
  const data = join(folder, "case");
  cpSync(one.after === "kill" ? base.killed : base.stopped, data, { recursive: true });
  one.damage(data, base);
  const port = await freePort();
  const daemon = await startDaemon(writeConfig(folder, port), data);
  try {
    claims.holds(await send(port, base.decisions, base.decisions + MORE), `${name}: it does not acknowledge`);
    await becomes(async () => (await daemon.status()).passes.inFlight === 0, WAIT_MS);
    const status = await daemon.status();
    const gap = status.gaps.at(-1);
    const said = daemon.lines.filter(isWarning).map(sentenceOf);
    claims.holds(ledgersBalance(status), `${name}: the ledgers do not balance`);
    claims.holds((await daemon.stop()) === 0, `${name}: the daemon did not stop in order`);
    const reason = epochReason(data);
    const left = decisionsIn(data).length - MORE;
    const verified = verifyLog({ directory: data });
    const aside = readdirSync(data).filter((file) => /\.corrupt-\d+$/.test(file));
    claims.holds(one.reasons.includes(reason), `${name}: the new epoch began for ${reason}`);
    claims.holds(left >= base.decisions * one.keeps, `${name}: only ${left} of ${base.decisions} decisions are left`);
    claims.holds(verified.ok, `${name}: the chain does not verify: ${JSON.stringify(verified.bad)}`);
    claims.holds(
      one.setsAside === undefined || aside.some((file) => file.startsWith(`${one.setsAside}.`)),
      `${name}: the damaged file was not kept`,
    );
    const isTold = reason === "clean" && one.setsAside === undefined ? true : said.length > 0;
    claims.holds(isTold, `${name}: no log line tells of it`);
    claims.holds(reason === "clean" || gap?.reason === reason, `${name}: status.gaps ends with ${JSON.stringify(gap)}`);
    claims.figure(
      `${name}: epoch, decisions left, set aside`,
      `${reason}, ${left}, ${aside.map((file) => file.replace(/\d+$/, "…")).join(" ") || "–"}`,
    );
    claims.figure(`${name}: said`, said.join(" | ") || "–");
  } finally {
    await daemon.kill();
    rmSync(data, { recursive: true, force: true });
  }
}

function isWarning(line: LogLine): boolean {
  return line.level === "warn" || line.level === "error";
}

function sentenceOf(line: LogLine): string {
  return `${line.msg}: ${line.reason ?? ""}`
    .replaceAll("\n", " ")
    .replaceAll(/\d{13}/g, "…")
    .replaceAll(/\/tmp\/\S*\//g, "");
}

/** Why the newest epoch began. */
function epochReason(data: string): string {
  const database = openForReading(records(data), recordsSchema);
  try {
    return epochs(database).at(-1)?.reason ?? "?";
  } finally {
    database.close();
  }
}

/** SQLite's own check does not see a changed letter in a payload; the chain does, and names the row. */
function flippedPayload(folder: string, base: Base, claims: Claims): void {
  const data = join(folder, "flipped");
  cpSync(base.stopped, data, { recursive: true });
  const bytes = readFileSync(records(data));
  const at = bytes.indexOf('"key":"s3"', Math.floor(bytes.length / 2)) + '"key":"s'.length;
  scribble(records(data), at, 1, 0x34);
  const verified = verifyLog({ directory: data });
  claims.holds(!verified.ok && verified.bad?.what === "edited", "a changed letter in a payload is not found");
  claims.figure(
    "a changed letter in a payload: audit verify says",
    `${verified.bad?.what} at n ${verified.bad?.n}: ${verified.bad?.detail}`,
  );
  rmSync(data, { recursive: true, force: true });
}

/** A file that the daemon may not read: it is nobody's damage, so it is not set aside; the daemon says why it can not start. */
async function forbidden(folder: string, base: Base, claims: Claims): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const data = join(folder, "forbidden");
  cpSync(base.stopped, data, { recursive: true });
  execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, data]);
  chmodSync(folder, 0o755);
  chmodSync(records(data), 0);
  const config = writeConfig(folder, await freePort());
  const wrapper = ["timeout", "20", "setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  try {
    const daemon = await startDaemon(config, data, wrapper);
    await daemon.kill();
    claims.holds(false, "a file that may not be read: the daemon came up");
  } catch (error) {
    const told = String(error).split("\n").slice(1).join(" ").trim();
    claims.holds(
      /records\.db/.test(told) && told.includes("EACCES"),
      `a file that may not be read: it says only: ${told}`,
    );
    claims.holds(!existsSync(`${records(data)}.corrupt`), "a file that may not be read was set aside");
    claims.figure("a file that may not be read: said", told.slice(0, told.indexOf("{")).replaceAll(folder, "…"));
  }
  rmSync(data, { recursive: true, force: true });
}
