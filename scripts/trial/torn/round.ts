import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { epochs, gaps } from "../../../daemon/store/queries.ts";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { openForReading } from "../../../daemon/store/sqlite-reader.ts";
import { verifyLog } from "../../../daemon/store/verify.ts";
import { becomes } from "../claims.ts";
import type { LogLine } from "../daemon.ts";
import { decisionsIn } from "../fixtures.ts";
import { type Base, type Left, Place, send, started } from "./base.ts";
import { type Tear, tearFile } from "./tears.ts";

/** Each pump becomes hot twice in these, or once where its rule was firing already. */
const MORE = 48;
const WAIT_MS = 60_000;
/** Each press is a program, and is over within this. */
const ACTS_MS = 10_000;

export interface Case {
  readonly left: Left;
  readonly files: readonly { readonly file: string; readonly tear: Tear }[];
}

export interface Outcome {
  readonly violations: readonly string[];
  readonly reason: string;
  /** Of the acknowledged ones, those whose decisions are not there any more. */
  readonly lost: number;
  readonly latched: boolean;
  /** What it said of what it found. */
  readonly said: string;
}

/** An older one names the program of the older place. */
const NAMES_PLACES = /holdfast\.yaml$|^last-good/;
const LOG = ["records.db", "records.db-wal"];
/** Losing one of these, or an older one in its place, may leave effects stopped that were not. */
const LATCHING = ["latch", "control.db", "control.db.bak", "control.db-journal"];
/** What they hold is nobody's evidence: made anew at each start, or a copy. */
const NO_EVIDENCE = [
  "records.db-shm",
  "records.db-wal",
  "control.db.bak",
  "lock.db",
  "lock.pid",
  "ballast",
  "reserve",
  "latch.ack",
  "latch",
];
/** What has to be told when it is damaged. */
const TOLD = ["records.db", "control.db", "gateway.key", "position.json", "latch", "holdfast.yaml"];

export const describe = (one: Case): string =>
  `${one.left}: ${one.files.map(({ file, tear }) => `${file} ${tear}`).join(", ")}`;

/** Tears files of a copy, starts a daemon on it as ever, and looks at everything that must hold. */
export async function runCase(
  base: Base,
  one: Case,
  folder: string,
  random: () => number,
): Promise<Outcome | undefined> {
  const place = Place.copy(base.left[one.left], folder);
  const evidence = new Map<string, string>();
  let isTorn = false;
  for (const { file, tear } of one.files) {
    const path = join(file === "holdfast.yaml" ? place.folder : place.data, file);
    const before = digest(path);
    if (tear === "an older version" && NAMES_PLACES.test(file)) continue;
    if (!tearFile(path, tear, { older: join(base.older, file === "holdfast.yaml" ? "" : "data", file), random }))
      continue;
    isTorn ||= digest(path) !== before || tear === "a beginning beside it";
    const torn = digest(path);
    if (torn !== undefined && torn !== before && tear !== "an older version") evidence.set(file, torn);
  }
  try {
    return isTorn ? await outcome(base, one, place, evidence) : undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function outcome(base: Base, one: Case, place: Place, evidence: ReadonlyMap<string, string>): Promise<Outcome> {
  const violations: string[] = [];
  const holds = (held: boolean, sentence: string): void => void (held || violations.push(sentence));
  const before = place.ledger();
  let running: Awaited<ReturnType<typeof started>>;
  try {
    running = await started(place);
  } catch (error) {
    return {
      violations: [`it does not come up: ${String(error).slice(0, 600)}`],
      reason: "–",
      lost: 0,
      latched: false,
      said: "",
    };
  }
  const { daemon, port } = running;
  try {
    const sent = await send({ port, first: base.sent, count: MORE });
    holds(sent.size === MORE, `of ${MORE} new events ${sent.size} were acknowledged`);
    const rests = await becomes(async () => (await daemon.status()).passes.inFlight === 0, WAIT_MS);
    const status = await daemon.status();
    const { latched } = status;
    const pressed = (): number => place.ledger().length - before.length;
    if (!latched && isAuto(one)) holds(await becomes(() => pressed() > 0, ACTS_MS), "it does not act any more");
    holds(rests, "it does not come to rest");
    holds((await daemon.stop()) === 0, "it did not stop in order");
    if (one.left === "latched") holds(latched, "the latch is not set any more");
    else holds(!latched || one.files.some(({ file }) => LATCHING.includes(file)), "effects are stopped by themselves");
    const ledger = place.ledger();
    holds(!latched || ledger.length === before.length, "something was done while effects are stopped");
    holds(new Set(ledger).size === ledger.length, "something was done twice");
    const { reason, hasGap } = lastStart(place.data);
    const lost = judgeDecisions(base, one, place, sent, holds);
    holds(reason === "clean" || hasGap, `the start was for ${reason}, and no gap is told`);
    const verified = verifyLog({ directory: place.data });
    holds(verified.ok, `the chain does not verify: ${JSON.stringify(verified.bad)}`);
    judgeEvidence(place, evidence, holds);
    const said = sayings(daemon.lines, place);
    const isQuiet = one.files.every(
      ({ file, tear }) => !TOLD.includes(file) || tear === "a beginning beside it" || tear === "an older version",
    );
    holds(isQuiet || said !== "", "nothing is said of it");
    return { violations, reason, lost, latched, said };
  } finally {
    await daemon.kill();
  }
}

/** The mode is in control.db: an older one, or none, means the careful one. */
const isAuto = (one: Case): boolean => !one.files.some(({ file }) => file.startsWith("control.db"));

/** Gives how many of the old ones are gone. */
function judgeDecisions(
  base: Base,
  one: Case,
  place: Place,
  sent: ReadonlySet<string>,
  holds: (held: boolean, sentence: string) => void,
): number {
  const seen = new Map<string, number>();
  for (const { decision } of decisionsIn(place.data, "guard"))
    if (decision.eventId !== undefined) seen.set(decision.eventId, (seen.get(decision.eventId) ?? 0) + 1);
  const twice = [...seen].filter(([, count]) => count > 1).map(([id]) => id);
  const missing = [...sent].filter((id) => !seen.has(id));
  const lost = [...base.acknowledged].filter((id) => !seen.has(id)).length;
  holds(twice.length === 0, `decided twice: ${twice.slice(0, 5).join(", ")}`);
  holds(missing.length === 0, `new events without a decision: ${missing.slice(0, 5).join(", ")}`);
  const isLog = one.files.some(({ file }) => LOG.includes(file));
  holds(isLog || lost === 0, `${lost} acknowledged decisions are gone, and the log was not torn`);
  return lost;
}

/** What could not be used is still there, under whatever name. */
function judgeEvidence(
  place: Place,
  evidence: ReadonlyMap<string, string>,
  holds: (held: boolean, sentence: string) => void,
): void {
  const names = readdirSync(place.data).filter((name) => statSync(join(place.data, name)).isFile());
  const kept = new Set(names.map((name) => digest(join(place.data, name))));
  for (const [file, torn] of evidence) {
    if (NO_EVIDENCE.includes(file) || kept.has(torn)) continue;
    // Opened, found whole enough, and written on: what it held is in it.
    const isSetAside = names.some(
      (name) => name.startsWith(`${file}.corrupt-`) || name.startsWith(`${file}.unreadable-`),
    );
    // To look into the log SQLite brings its write-ahead log into it, so it is not byte for byte what was found.
    const isUsed = file.endsWith(".db") && !isSetAside;
    holds(isUsed || (file === "records.db" && isSetAside) || isRenewed(file), `${file} as it was found is gone`);
  }
}

/** Copies, which are made anew; and what a person has to mend. */
const isRenewed = (file: string): boolean => file.startsWith("last-good/") || file === "holdfast.yaml";

function digest(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  return bytes.length === 0 ? undefined : createHash("sha256").update(bytes).digest("hex");
}

function lastStart(data: string): { reason: string; hasGap: boolean } {
  const database = openForReading(join(data, "records.db"), recordsSchema);
  try {
    const reason = epochs(database).at(-1)?.reason ?? "?";
    return { reason, hasGap: gaps(database).at(-1)?.reason === reason };
  } finally {
    database.close();
  }
}

function sayings(lines: readonly LogLine[], place: Place): string {
  const told = lines.filter(({ level }) => level === "warn" || level === "error");
  const sentences = told.map((line) => [line.msg, line.reason, line.problem, line.why].filter(Boolean).join(": "));
  return sentences
    .join(" | ")
    .replaceAll(place.folder, "…")
    .replaceAll(/\d{13}/g, "…");
}
