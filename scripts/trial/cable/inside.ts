import { rmSync } from "node:fs";
import { join } from "node:path";
import { programPssBytes } from "../../bench/processes.ts";
import { becomes, Claims, megabytes, sleep } from "../claims.ts";
import { temporaryFolder } from "../daemon.ts";
import { GatewaySite } from "../fleet/gateway-site.ts";
import { judgeFleet } from "../fleet/judge-fleet.ts";
import { judgeGateway } from "../fleet/judge-gateway.ts";
import { OwnFleet } from "../fleet/own-fleet.ts";
import { Phases } from "../fleet/phases.ts";
import { Probe } from "../fleet/probe.ts";
import type { TrialOptions, TrialResult } from "../trial.ts";
import { Cable, FAR, type Pull } from "./network.ts";

const BROKER_PORT = 8883;
const MINUTES = 4;
const PULLS = 8;
const WARM_MS = 10_000;
/** With the cable in it need not be as long as without, so that an hour without is not two. */
const LONGEST_IN_MS = 90_000;
const SETTLE_MS = 300_000;
const SETTLED_RECORDS = 200;
const MOST_RATIO = 1.5;
/** In a short run one of a hundred is three or four, which others on the machine make late. */
const ALLOWANCE_MS = 25;
const PULL_KINDS: readonly Pull[] = ["far plug", "near interface"];

type Options = Pick<TrialOptions, "minutes" | "rounds" | "keep" | "say">;

/** The whole trial, in a process that has a network of its own. */
export async function inside({ minutes = MINUTES, rounds = PULLS, keep, say }: Options): Promise<TrialResult> {
  const claims = new Claims(say);
  const folder = temporaryFolder("cable");
  const cable = await Cable.lay();
  const far = new OwnFleet({ folder: join(folder, "fleet"), host: FAR, port: BROKER_PORT, within: cable.farSide });
  const near = new GatewaySite(join(folder, "gateway"));
  try {
    await far.start();
    await far.fleet("enroll", "plant-7");
    await near.start(join(far.folder, "plant-7.enrolment.json"), {});
    const phases = new Phases();
    const probe = new Probe(near);
    near.measure();
    probe.start();
    await becomes(async () => (await near.link()).link.state === "connected", 30_000);
    await sleep(WARM_MS);
    await alternate({ cable, near, phases, claims }, (minutes * 60_000) / rounds, rounds);
    await probe.stop();
    await settle(near, claims);
    claims.figure("seconds of each phase", phases.seconds());
    claims.holds(far.isRunning, "the broker or the collector ended");
    claims.holds((await near.stop()) === 0, "the gateway did not stop in order");
    await far.stop();
    const phase = { phases, usual: "cable in", tried: "cable out", beside: ["cable back"] };
    judgeGateway(near, probe, { ...phase, mostRatio: MOST_RATIO, allowanceMs: ALLOWANCE_MS }, claims);
    await judgeFleet(near, far, "", claims);
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
  readonly near: GatewaySite;
  readonly phases: Phases;
  readonly claims: Claims;
}

/** In, out, in, out …, so that whatever else the machine does falls upon both alike. */
async function alternate({ cable, near, phases, claims }: Scene, outMs: number, rounds: number): Promise<void> {
  const waited: number[] = [];
  const backSeconds: number[] = [];
  const memory = { in: [] as number[], out: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    phases.enter("cable in");
    await sleep(Math.min(outMs, LONGEST_IN_MS));
    memory.in.push(programPssBytes(near.daemon.pid));
    const how = PULL_KINDS[round % PULL_KINDS.length] as Pull;
    phases.enter("cable out");
    await cable.pull(how);
    const pulledMs = performance.now();
    claims.holds(!(await cable.carries(BROKER_PORT)), `${how}: the cable is out and something gets through`);
    await sleep(outMs - (performance.now() - pulledMs));
    memory.out.push(programPssBytes(near.daemon.pid));
    const { state } = (await near.link()).link;
    claims.holds(state !== "connected", `${how}: the gateway believes that it is connected`);
    waited.push(await near.waiting());
    phases.enter("cable back");
    await cable.plugIn();
    const backMs = performance.now();
    const isBack = await becomes(async () => (await near.waiting()) < SETTLED_RECORDS, SETTLE_MS);
    claims.holds(isBack, `pull ${round + 1}: ${await near.waiting()} records wait ${SETTLE_MS / 1000} s later`);
    backSeconds.push(Math.round((performance.now() - backMs) / 100) / 10);
  }
  phases.enter("settling");
  claims.figure("records that waited when the cable went in", waited.join(", "));
  claims.figure("seconds until less than 200 waited", backSeconds.join(", "));
  claims.figure("memory of the gateway, MB PSS, in", memory.in.map(megabytes).join(", "));
  claims.figure("memory of the gateway, MB PSS, out", memory.out.map(megabytes).join(", "));
  claims.holds(
    waited.every((records) => records > outMs / 1000),
    "next to nothing waited while the cable was out",
  );
}

async function settle(near: GatewaySite, claims: Claims): Promise<void> {
  const sent = await near.quiet();
  claims.figure("messages of the sensor", sent);
  await becomes(async () => (await near.daemon.status()).passes.decided >= sent, SETTLE_MS);
  const isSettled = await becomes(async () => (await near.waiting()) === 0, SETTLE_MS);
  claims.holds(isSettled, `${await near.waiting()} records wait at the end`);
}
