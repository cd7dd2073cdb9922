import { rmSync } from "node:fs";
import { Claims } from "../trial/claims.ts";
import { Evidence } from "./act/evidence.ts";
import { runFault } from "./act/faults.ts";
import { intentFirst, neverPermitted, type Oracle, once } from "./act/oracles.ts";
import { Site } from "./act/site.ts";
import { temporaryFolder } from "./daemon.ts";
import { createRandom } from "./random.ts";
import type { Trial, TrialOptions } from "./trial.ts";

const ROUNDS = 1000;
const ROUNDS_A_SITE = 40;
const PER_SECOND = 130;
const SEED = 41_001;

const oracles: readonly Oracle[] = [intentFirst, once, neverPermitted];

/** Rules fire all the time while the daemon and its world are hit by faults; an outside ledger says what came of it. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  const rounds = options.rounds ?? ROUNDS;
  const random = createRandom(SEED);
  for (let done = 0; done < rounds; done += ROUNDS_A_SITE)
    await runSite(Math.min(ROUNDS_A_SITE, rounds - done), done, random, options, claims);
  return claims.result();
};

async function runSite(
  rounds: number,
  done: number,
  random: () => number,
  options: TrialOptions,
  claims: Claims,
): Promise<void> {
  const folder = temporaryFolder("act");
  const site = new Site(folder, { claims, random, perSecond: PER_SECOND, fakesTime: false });
  try {
    await site.start();
    for (let round = 1; round <= rounds; round++) {
      const fault = await runFault(site);
      options.say(`round ${done + round}: ${fault}`);
    }
    await site.finish();
    const evidence = new Evidence(folder, await site.ledger.log(), site.gathered, site.story);
    options.say(
      `${evidence.ledger.effects.length} effects, ${site.gathered.intents.size} intents, ${site.gathered.proposals} proposals, looked ${evidence.ledger.looked}, starts ${site.story.starts}`,
    );
    for (const oracle of oracles) {
      const { oracle: name, sentence, looked, violations } = oracle(evidence);
      options.say(`${name}: ${sentence} Looked at ${looked}, ${violations.length} violations`);
      for (const one of violations.slice(0, 5)) claims.holds(false, `${name}: ${one}`);
    }
    for (const [fault, n] of site.story.faults) options.say(`${fault}: ${n}`);
    for (const [fault, n] of site.gathered.refused) options.say(`${fault}: ${n}`);
  } finally {
    await site.end();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}
