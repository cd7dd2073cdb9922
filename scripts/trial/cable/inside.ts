import { rmSync } from "node:fs";
import { join } from "node:path";
import { programPssBytes } from "../../bench/processes.ts";
import { becomes, Claims, megabytes, sleep } from "../claims.ts";
import { temporaryFolder } from "../daemon.ts";
import type { TrialOptions, TrialResult } from "../trial.ts";
import { BROKER_PORT, FarSide } from "./far-side.ts";
import { judgeFleet, judgeNear } from "./judge.ts";
import { NearSide } from "./near-side.ts";
import { Cable, type Pull } from "./network.ts";
import { Phases } from "./phases.ts";
import { Probe } from "./probe.ts";

const MINUTES = 4;
const PULLS = 8;
const WARM_MS = 10_000;
/** With the cable in it need not be as long as without, so that an hour without is not two. */
const LONGEST_IN_MS = 90_000;
const SETTLE_MS = 300_000;
const SETTLED_RECORDS = 200;
const PULL_KINDS: readonly Pull[] = ["far plug", "near interface"];

type Options = Pick<TrialOptions, "minutes" | "rounds" | "keep" | "say">;

/** The whole trial, in a process that has a network of its own. */
export async function inside({ minutes = MINUTES, rounds = PULLS, keep, say }: Options): Promise<TrialResult> {
  const claims = new Claims(say);
  const folder = temporaryFolder("cable");
  const cable = await Cable.lay();
  const far = new FarSide(join(folder, "fleet"), cable);
  const near = new NearSide(join(folder, "gateway"));
  try {
    await far.start();
    await far.fleet("enroll", "plant-7");
    await near.start(join(far.folder, "plant-7.enrolment.json"));
    const phases = new Phases();
    const probe = new Probe(near);
    near.measure();
    probe.start();
    await becomes(async () => (await near.link()).link.state === "connected", 30_000);
    await sleep(WARM_MS);
    await alternate({ cable, near, phases, claims }, (minutes * 60_000) / rounds, rounds);
    await probe.stop();
    await settle(near, claims);
    claims.figure("seconds with the cable in, out, back until all is settled", phases.seconds());
    claims.holds(far.isRunning, "the broker or the collector ended");
    claims.holds((await near.stop()) === 0, "the gateway did not stop in order");
    await far.stop();
    judgeNear(near, phases, probe, claims);
    await judgeFleet(near, far, claims);
  } finally {
    await near.stop();
    await far.stop();
    cable.end();
    if (!keep) rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
}

interface Scene {
  readonly cable: Cable;
  readonly near: NearSide;
  readonly phases: Phases;
  readonly claims: Claims;
}

/** In, out, in, out …, so that whatever else the machine does falls upon both alike. */
async function alternate({ cable, near, phases, claims }: Scene, outMs: number, rounds: number): Promise<void> {
  const waited: number[] = [];
  const backSeconds: number[] = [];
  const memory = { in: [] as number[], out: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    phases.enter("in");
    await sleep(Math.min(outMs, LONGEST_IN_MS));
    memory.in.push(programPssBytes(near.daemon.pid));
    const how = PULL_KINDS[round % PULL_KINDS.length] as Pull;
    phases.enter("out");
    await cable.pull(how);
    const pulledMs = performance.now();
    claims.holds(!(await cable.carries(BROKER_PORT)), `${how}: the cable is out and something gets through`);
    await sleep(outMs - (performance.now() - pulledMs));
    memory.out.push(programPssBytes(near.daemon.pid));
    const { state } = (await near.link()).link;
    claims.holds(state !== "connected", `${how}: the gateway believes that it is connected`);
    waited.push(await near.waiting());
    phases.enter("back");
    await cable.plugIn();
    const backMs = performance.now();
    const isBack = await becomes(async () => (await near.waiting()) < SETTLED_RECORDS, SETTLE_MS);
    claims.holds(isBack, `pull ${round + 1}: ${await near.waiting()} records wait ${SETTLE_MS / 1000} s later`);
    backSeconds.push(Math.round((performance.now() - backMs) / 100) / 10);
  }
  phases.enter("other");
  claims.figure("records that waited when the cable went in", waited.join(", "));
  claims.figure("seconds until less than 200 waited", backSeconds.join(", "));
  claims.figure("memory of the gateway, MB PSS, in", memory.in.map(megabytes).join(", "));
  claims.figure("memory of the gateway, MB PSS, out", memory.out.map(megabytes).join(", "));
  claims.holds(
    waited.every((records) => records > outMs / 1000),
    "next to nothing waited while the cable was out",
  );
}

async function settle(near: NearSide, claims: Claims): Promise<void> {
  const sent = await near.quiet();
  claims.figure("messages of the sensor", sent);
  await becomes(async () => (await near.daemon.status()).passes.decided >= sent, SETTLE_MS);
  const isSettled = await becomes(async () => (await near.waiting()) === 0, SETTLE_MS);
  claims.holds(isSettled, `${await near.waiting()} records wait at the end`);
}
