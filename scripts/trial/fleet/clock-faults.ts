import { sleep } from "../claims.ts";
import { type Fault, pick } from "./site.ts";

const DAY_SECONDS = 86_400;
/** Where a clock stands that has lost its battery. */
const SINCE_1970_SECONDS = 60;

/** One after the other, so that each is tried. */
const clocks: readonly (readonly [string, () => number])[] = [
  ["at 1970", () => SINCE_1970_SECONDS - Math.floor(Date.now() / 1000)],
  ["a day fast", () => DAY_SECONDS],
  ["a day slow", () => -DAY_SECONDS],
  ["right", () => 0],
];
let turns = 0;

/** Wall clocks that are wrong until the next of these faults, and a machine that slept. */
export const clockFaults: Readonly<Record<string, Fault>> = {
  wrongClock: async ({ gateways, random }) => {
    const { plant } = pick(gateways, random);
    const [what, seconds] = clocks[turns++ % clocks.length] as (typeof clocks)[number];
    const isRestarted = random() < 0.7;
    if (isRestarted) await plant.kill();
    plant.time?.off(seconds());
    if (isRestarted) await plant.run();
    await sleep(random() * 3000);
    return `wall clock ${what}${isRestarted ? " at a start after kill -9" : ", while the gateway runs"}`;
  },
  suspended: async ({ gateways, random }) => {
    await pick(gateways, random).plant.sleep(1000 + random() * 9000);
    return "a gateway stood still for 1 to 10 s (SIGSTOP)";
  },
};
