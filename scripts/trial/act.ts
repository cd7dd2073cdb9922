import { rmSync } from "node:fs";
import { verifyLog } from "../../daemon/store/verify.ts";
import { Claims } from "../trial/claims.ts";
import { ended, endsOf, verified } from "./act/end-oracles.ts";
import { Evidence } from "./act/evidence.ts";
import { faults, runFault } from "./act/faults.ts";
import { exclusive, interlocked, withinLimits } from "./act/limit-oracles.ts";
import { type Finding, intentFirst, neverPermitted, type Oracle, once } from "./act/oracles.ts";
import { Site } from "./act/site.ts";
import { inTime, latched, switched } from "./act/time-oracles.ts";
import { temporaryFolder } from "./daemon.ts";
import { createRandom } from "./random.ts";
import type { Trial, TrialOptions } from "./trial.ts";

const ROUNDS = 1000;
const ROUNDS_A_SITE = 40;
const PER_SECOND = 130;
const SEED = 41_001;
/** Where the wall clock jumps, sites in turn: the library that fakes it costs time. */
const FAKE_TIME_EVERY = 4;
const TOLD = 5;

const oracles: readonly Oracle[] = [
  ...[intentFirst, once, neverPermitted, withinLimits, exclusive, interlocked],
  ...[inTime, latched, switched, ended, verified],
];

/** Rules fire all the time while the daemon and its world are hit by faults; an outside ledger says what came of it. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
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
    const here = { rounds: Math.min(ROUNDS_A_SITE, rounds - done), done, fakesTime: site % FAKE_TIME_EVERY === 1 };
    await runSite({ ...here, random, names }, options, claims, sums);
  }
  sums.report(claims);
  return sums.findings;
}

interface SiteRun {
  readonly rounds: number;
  readonly done: number;
  readonly fakesTime: boolean;
  readonly random: () => number;
  readonly names: readonly string[];
}

async function runSite(run: SiteRun, options: TrialOptions, claims: Claims, sums: Sums): Promise<void> {
  const { rounds, done, fakesTime, random, names } = run;
  const folder = temporaryFolder("act");
  const site = new Site(folder, { claims, random, perSecond: PER_SECOND, fakesTime });
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
    for (const { via, tool } of ledger.effects) this.#count("effects", `${tool} (${via})`, 1);
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
