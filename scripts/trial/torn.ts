import { rmSync } from "node:fs";
import { join } from "node:path";
import { Claims } from "./claims.ts";
import { temporaryFolder } from "./daemon.ts";
import { createRandom } from "./random.ts";
import { type Base, type Left, makeBase } from "./torn/base.ts";
import { type Case, describe, type Outcome, runCase } from "./torn/round.ts";
import { tears } from "./torn/tears.ts";
import type { Trial } from "./trial.ts";

const ROUNDS = 100;
const SEED = 71_007;
const EVENTS = 900;
const TOGETHER = 2;
/** One in so many rounds tears two files at once. */
const PAIRS = 3;
const LEFT: readonly Left[] = ["stopped", "killed", "latched"];

/** What lies in a data directory, each a file that a power cut may tear. */
export const files = [
  ...["records.db", "records.db-wal", "records.db-shm", "control.db", "control.db.bak", "control.db-journal"],
  ...["position.json", "latch", "latch.ack", "gateway.key", "gateway.pub", "lock.db", "lock.pid", "ballast", "reserve"],
  ...["last-good/origin.json", "last-good/holdfast.yaml", "holdfast.yaml"],
] as const;

/** The first start after a power cut, with a torn file of some kind: it comes up, says what it found, and loses and repeats nothing. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  const folder = temporaryFolder("torn");
  const random = createRandom(options.seed ?? SEED);
  try {
    const base = await makeBase(folder, EVENTS);
    claims.figure("events acknowledged before", base.acknowledged.size);
    const sums = new Map<string, Outcome[]>();
    const wanted = options.rounds ?? ROUNDS;
    let done = 0;
    const work = async (lane: number): Promise<void> => {
      while (done < wanted) {
        const one = drawn(random, options.faults ?? files);
        const outcome = await runCase(base, one, join(folder, `case-${lane}`), random);
        if (outcome === undefined) continue;
        done += 1;
        for (const violation of outcome.violations) claims.holds(false, `${describe(one)}: ${violation}`);
        const name = one.files.map(({ file }) => file).join(" + ");
        sums.set(name, [...(sums.get(name) ?? []), outcome]);
        if (done % 25 === 0) options.say(`${done} rounds`);
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, (_one, lane) => work(lane)));
    report(sums, base, claims);
  } finally {
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
};

function drawn(random: () => number, names: readonly string[]): Case {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const file = pick(names);
  const other = pick(names);
  const left = pick(LEFT);
  const torn = [{ file, tear: pick(tears) }];
  if (random() * PAIRS < 1 && other !== file) torn.push({ file: other, tear: pick(tears) });
  return { left, files: torn };
}

function report(sums: ReadonlyMap<string, readonly Outcome[]>, base: Base, claims: Claims): void {
  const single = [...sums].filter(([name]) => !name.includes(" + "));
  const both = [...sums].filter(([name]) => name.includes(" + ")).flatMap(([, outcomes]) => outcomes);
  for (const [name, outcomes] of [...single, ["two at once", both] as const]) {
    if (outcomes.length === 0) continue;
    const reasons = [...new Set(outcomes.map(({ reason }) => reason))].sort().join(", ");
    const lost = outcomes.map((outcome) => outcome.lost).sort((a, b) => b - a);
    const latched = outcomes.filter((outcome) => outcome.latched).length;
    claims.figure(
      `${name}: rounds; reasons; latched; most decisions lost`,
      `${outcomes.length}; ${reasons}; ${latched}; ${lost[0]} of ${base.acknowledged.size}`,
    );
  }
}
