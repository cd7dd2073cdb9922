import { rmSync } from "node:fs";
import { verifyLog } from "../../daemon/store/verify.ts";
import { NOTIFY } from "./act/configuration.ts";
import { ended, endsOf, toldTruly, verified } from "./act/end-oracles.ts";
import { Evidence } from "./act/evidence.ts";
import { FakeTime } from "./act/fake-time.ts";
import { faults, runFault } from "./act/faults.ts";
import { exclusive, interlocked, withinLimits } from "./act/limit-oracles.ts";
import { type Finding, intentFirst, neverPermitted, type Oracle, once } from "./act/oracles.ts";
import { Site } from "./act/site.ts";
import { inTime, latched, switched, unbroken } from "./act/time-oracles.ts";
import { Claims, spread } from "./claims.ts";
import { temporaryFolder } from "./daemon.ts";
import { createRandom } from "./random.ts";
import type { Trial, TrialOptions } from "./trial.ts";

const ROUNDS = 1000;
const ROUNDS_A_SITE = 40;
const PER_SECOND = 130;
const SEED = 41_001;
/** Where the wall clock jumps, sites in turn: the library that fakes it costs time. */
const FAKE_TIME_EVERY = 4;
/** An agent with a model, and so a host, is as dear. */
const MODEL_EVERY = 4;
const TOLD = 5;

const oracles: readonly Oracle[] = [
  ...[intentFirst, once, neverPermitted, withinLimits, exclusive, interlocked],
  ...[inTime, latched, switched, unbroken, ended, verified, toldTruly],
];

/** Rules fire all the time while the daemon and its world are hit by faults; an outside ledger says what came of it. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  if (FakeTime.libraryPath() === undefined) options.say("libfaketime is not here: the wall clock does not jump");
  if (process.getuid?.() !== 0) options.say("mounting is for root: the disk is never full");
  await runAct(claims, options, options.faults ?? Object.keys(faults));
  return claims.result();
};

/** `names`: the faults to draw from. Gives what the oracles found, by name. */
export async function runAct(
  claims: Claims,
  options: TrialOptions,
  names: readonly string[],
): Promise<ReadonlyMap<string, Finding>> {
  const rounds = options.rounds ?? ROUNDS;
  const random = createRandom(options.seed ?? SEED);
  const sums = new Sums();
  for (let done = 0, site = 0; done < rounds; done += ROUNDS_A_SITE, site++) {
    const here = {
      rounds: Math.min(ROUNDS_A_SITE, rounds - done),
      done,
      fakesTime: site % FAKE_TIME_EVERY === 1,
      hasModel: site % MODEL_EVERY === 2,
    };
    await runSite({ ...here, random, names }, options, claims, sums);
  }
  sums.report(claims);
  return sums.findings;
}

interface SiteRun {
  readonly rounds: number;
  readonly done: number;
  readonly fakesTime: boolean;
  readonly hasModel: boolean;
  readonly random: () => number;
  readonly names: readonly string[];
}

async function runSite(run: SiteRun, options: TrialOptions, claims: Claims, sums: Sums): Promise<void> {
  const { rounds, done, fakesTime, hasModel, random, names } = run;
  const folder = temporaryFolder("act");
  const site = new Site(folder, { claims, random, perSecond: PER_SECOND, fakesTime, hasModel });
  try {
    await site.start();
    for (let round = 1; round <= rounds; round++) {
      const fault = await runFault(site, names);
      if (round % 10 === 0) options.say(`${done + round} faults so far, the last one: ${fault}`);
    }
    await site.finish();
    const { ok, bad } = verifyLog({ directory: site.data });
    claims.holds(ok, `the log does not verify: ${JSON.stringify(bad)}`);
    const evidence = new Evidence(folder, await site.ledger.log(), site.gathered, site.story);
    sums.add(
      evidence,
      oracles.map((oracle) => oracle(evidence)),
    );
  } finally {
    await site.end();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}

/** What all sites showed together. */
class Sums {
  readonly findings = new Map<string, Finding>();
  readonly #counts = new Map<string, Map<string, number>>();
  readonly #transportMs: number[] = [];
  #latestMs = Number.NEGATIVE_INFINITY;

  add(evidence: Evidence, found: readonly Finding[]): void {
    for (const one of found) {
      const before = this.findings.get(one.oracle);
      this.findings.set(one.oracle, {
        ...one,
        looked: one.looked + (before?.looked ?? 0),
        violations: [...(before?.violations ?? []), ...one.violations],
      });
    }
    const { ledger, gathered, story } = evidence;
    for (const effect of ledger.effects) {
      this.#count("effects", `${effect.tool} (${effect.via})`, 1);
      const deadlines = evidence.intentsOf(effect).map(({ intent }) => intent.executeBefore.bootMs);
      if (deadlines.length > 0) this.#latestMs = Math.max(this.#latestMs, effect.atMs - Math.max(...deadlines));
      const isLatched = story.latched.some(({ fromSeq, untilMs }) => effect.seq > fromSeq && effect.atMs < untilMs);
      if (isLatched && NOTIFY.has(effect.tool)) this.#count("totals", "notifications while latched", 1);
    }
    for (const { sentMs, atMs } of ledger.canaries) this.#transportMs.push(atMs - sentMs);
    for (const { reason } of gathered.epochs.values()) this.#count("starts in the log", reason, 1);
    const lost = [...gathered.intents.values()].filter(({ isLost }) => isLost).length;
    this.#count("totals", "intents that an older database lost", lost);
    for (const [fault, n] of story.faults) this.#count("faults", fault, n);
    for (const [why, n] of gathered.refused) this.#count("refused", why, n);
    for (const [state, n] of endsOf(evidence)) this.#count("ends", state, n);
    this.#count("totals", "actions proposed", gathered.intents.size + gathered.proposals);
    this.#count("totals", "intents", gathered.intents.size);
    this.#count("totals", "starts of the daemon", story.starts);
    this.#count("totals", "effects looked up in the log as they came", ledger.looked);
    this.#count("totals", "packets that the broker delivered again", ledger.redelivered);
  }

  report(claims: Claims): void {
    for (const [group, counts] of this.#counts) {
      const sum = [...counts.values()].reduce((all, n) => all + n, 0);
      if (group !== "totals") claims.figure(`${group}, in all`, sum);
      for (const [name, n] of [...counts].sort((a, b) => b[1] - a[1])) claims.figure(`${group}: ${name}`, n);
    }
    claims.figure("a message of the ledger to itself took, ms", spread(this.#transportMs));
    claims.figure("the latest effect came after its execute-before, ms", Math.round(this.#latestMs));
    for (const { oracle, sentence, looked, violations } of this.findings.values()) {
      claims.figure(`${oracle}: ${sentence}`, { looked, violations: violations.length });
      for (const one of violations.slice(0, TOLD)) claims.holds(false, `${oracle}: ${one}`);
    }
  }

  #count(group: string, name: string, n: number): void {
    const counts = this.#counts.get(group) ?? new Map<string, number>();
    this.#counts.set(group, counts);
    counts.set(name, (counts.get(name) ?? 0) + n);
  }
}
