import { rmSync } from "node:fs";
import { join } from "node:path";
import { programPssBytes } from "../bench/processes.ts";
import { becomes, Claims, megabytes, quantile, sleep } from "./claims.ts";
import { freePort, temporaryFolder } from "./daemon.ts";
import { GatewaySite } from "./fleet/gateway-site.ts";
import { judgeFleet } from "./fleet/judge-fleet.ts";
import { judgeGateway } from "./fleet/judge-gateway.ts";
import { OwnFleet } from "./fleet/own-fleet.ts";
import { Phases } from "./fleet/phases.ts";
import { Probe } from "./fleet/probe.ts";
import { Attacker, type Sent } from "./hostile-fleet/attacker.ts";
import { besidePasses, countOf } from "./hostile-fleet/caused.ts";
import { sendCommand } from "./hostile-fleet/honest.ts";
import type { Trial, TrialOptions } from "./trial.ts";

const MINUTES = 2;
const ROUNDS = 8;
const WARM_MS = 10_000;
const SETTLE_MS = 300_000;
const SETTLED_RECORDS = 200;
const RATES = { small: 2000, large: 30 };
/** What the broker still has of an attack on somebody else. */
const REST_MS = 3000;
/** Against the same attack on somebody else, which keeps the machine as busy. */
const MOST_RATIO = 2;
const ALLOWANCE_MS = 50;
const MOST_GROWTH_BYTES = 24 * 1_048_576;
/** What an attack may cause to be written down: so many records at once, and so many more a minute. */
const MOST_AT_ONCE = 250;
const MOST_A_MINUTE = 10;
const LOOK_EACH_MS = 2000;
const MOST_STARTS = 8;

/** With the fleet's key in its file a gateway believes only what is signed; without, whoever may write below its name. */
const KINDS = ["signed", "unsigned"] as const;
type Kind = (typeof KINDS)[number];

/**
 * Somebody has a collector's certificate, and none of the fleet's keys: what can they do to a gateway through its own
 * broker? `minutes`: how long they attack in all; `rounds`: in how many parts; `faults`: only one of the kinds.
 */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  for (const kind of KINDS)
    if (options.faults === undefined || options.faults.includes(kind)) await attackOn(kind, options, claims);
  return claims.result();
};

interface Scene {
  readonly kind: Kind;
  readonly site: GatewaySite;
  readonly attacker: Attacker;
  readonly phases: Phases;
  readonly claims: Claims;
}

async function attackOn(kind: Kind, { minutes = MINUTES, rounds = ROUNDS, keep }: TrialOptions, claims: Claims) {
  const folder = temporaryFolder("hostile-fleet");
  const port = await freePort();
  const fleet = new OwnFleet({ folder: join(folder, "fleet"), host: "localhost", port });
  const site = new GatewaySite(join(folder, "gateway"));
  const isSigned = kind === "signed";
  let attacker: Attacker | undefined;
  try {
    await fleet.start();
    await fleet.fleet("enroll", "plant-7");
    await site.start(join(fleet.folder, "plant-7.enrolment.json"), isSigned ? {} : { keys: [] });
    attacker = await Attacker.open(fleet.folder, port, RATES);
    const [phases, probe] = [new Phases(), new Probe(site)];
    const scene: Scene = { kind, site, attacker, phases, claims };
    site.measure();
    probe.start();
    await becomes(async () => (await site.link()).link.state === "connected", 30_000);
    await sendCommand(fleet.folder, port, "agent:watching");
    await sleep(WARM_MS);
    await alternate(scene, (minutes * 60_000) / rounds, rounds);
    await probe.stop();
    await settle(scene);
    // Who sent so much nonsense has not closed the way for what makes sense.
    await sendCommand(fleet.folder, port, "agent:acting");
    if (isSigned) await becomes(() => countOf(besidePasses(site.data), "command done") === 2, SETTLE_MS);
    await reconnect(scene, fleet);
    claims.holds(fleet.isRunning, `${kind}: the broker or the collector ended`);
    await site.stop();
    await fleet.stop();
    judgeRecords(scene, minutes, isSigned ? 2 : 0);
    const comparison = { phases, usual: "attack beside", tried: "under attack", beside: ["calm"], prefix: `${kind}: ` };
    judgeGateway(site, probe, { ...comparison, mostRatio: MOST_RATIO, allowanceMs: ALLOWANCE_MS }, claims);
    await judgeFleet(site, fleet, `${kind}: `, claims);
  } finally {
    attacker?.close();
    await site.stop();
    await fleet.stop();
    if (!keep) rmSync(folder, { recursive: true, force: true });
  }
}

async function alternate(scene: Scene, attackMs: number, rounds: number): Promise<void> {
  const { kind, site, attacker, phases, claims } = scene;
  const memory: number[] = [];
  const waited: number[] = [];
  let sent: Sent = { sent: {} };
  const before = await site.link();
  for (let round = 0; round < rounds; round++) {
    phases.enter("calm");
    await sleep(attackMs);
    phases.enter("attack beside");
    attacker.begin("beside");
    await sleep(attackMs);
    await attacker.rest();
    phases.enter("calm again");
    await sleep(REST_MS);
    phases.enter("under attack");
    attacker.begin("attack");
    for (const until = performance.now() + attackMs; performance.now() < until; ) {
      await sleep(LOOK_EACH_MS);
      memory.push(programPssBytes(site.daemon.pid));
    }
    sent = await attacker.rest();
    waited.push(await site.waiting());
    phases.enter("afterwards");
    await settled(scene, SETTLED_RECORDS, `after attack ${round + 1}`);
  }
  phases.enter("settling");
  const after = await site.link();
  const { swallowed, ...kinds } = sent.sent;
  const count = Object.values(kinds).reduce((sum, n) => sum + n, 0);
  const seconds = phases.seconds();
  const refused = after.uplink.refused - before.uplink.refused;
  const megabytesIn = megabytes(after.link.bytesReceived - before.link.bytesReceived);
  claims.figure(`${kind}: seconds of each phase`, seconds);
  claims.figure(
    `${kind}: hostile messages, a second`,
    `${count}, ${Math.round(count / (seconds["under attack"] ?? 1))}`,
  );
  claims.figure(`${kind}: by kind`, kinds);
  claims.figure(`${kind}: messages of the gateway that the attacker kept from the collector`, swallowed);
  claims.figure(`${kind}: MB that reached the gateway, answers that it refused`, `${megabytesIn}, ${refused}`);
  claims.figure(`${kind}: records that waited at the end of each attack`, waited.join(", "));
  claims.figure(`${kind}: connections that the gateway made meanwhile`, after.link.attempts - before.link.attempts);
  claims.holds(refused > 1000 && megabytesIn > 10, `${kind}: next to nothing of the attack reached the gateway`);
  judgeMemory(kind, memory, claims);
}

function judgeMemory(kind: Kind, memory: readonly number[], claims: Claims): void {
  const middle = Math.floor(memory.length / 2);
  const half = (part: readonly number[]): number =>
    quantile(
      [...part].sort((a, b) => a - b),
      0.5,
    );
  const [first, second] = [half(memory.slice(0, middle)), half(memory.slice(middle))];
  const figures = { first, second, most: Math.max(...memory) };
  claims.figure(
    `${kind}: memory of the gateway under attack, MB PSS: half of each half, most`,
    Object.values(figures).map(megabytes).join(", "),
  );
  claims.holds(second - first < MOST_GROWTH_BYTES, `${kind}: memory grew by ${megabytes(second - first)} MB`);
}

async function settled({ kind, site, claims }: Scene, below: number, when: string): Promise<void> {
  const fromMs = performance.now();
  const isSettled = await becomes(async () => (await site.waiting()) < below, SETTLE_MS);
  claims.holds(isSettled, `${kind}: ${await site.waiting()} records wait ${when}`);
  claims.figure(
    `${kind}: seconds until fewer than ${below} waited, ${when}`,
    Math.round((performance.now() - fromMs) / 100) / 10,
  );
}

async function settle(scene: Scene): Promise<void> {
  const { kind, site, claims } = scene;
  const sent = await site.quiet();
  claims.figure(`${kind}: messages of the sensor`, sent);
  await becomes(async () => (await site.daemon.status()).passes.decided >= sent, SETTLE_MS);
  await settled(scene, 1, "at the end");
  const { latched } = await site.daemon.status();
  claims.holds(!latched, `${kind}: somebody stopped the gateway`);
}

/**
 * What the broker kept comes to a new connection: nothing of it may be done either. And where somebody could lie to the
 * gateway about what the fleet has, the fleet asks for what it misses, some of it with each connection.
 */
async function reconnect(scene: Scene, fleet: OwnFleet): Promise<void> {
  const { kind, site, claims } = scene;
  let missing = "";
  let starts = 0;
  do {
    starts += 1;
    claims.holds((await site.daemon.stop()) === 0, `${kind}: the gateway did not stop in order`);
    await site.run();
    await becomes(async () => (await site.link()).uplink.condition === "sending", SETTLE_MS);
    await becomes(async () => (await site.waiting()) === 0, SETTLE_MS);
    missing = await fleet.fleet("gaps", "--json");
  } while (missing.includes("plant-7") && starts < MOST_STARTS);
  claims.figure(`${kind}: new connections until the fleet missed nothing`, starts);
  claims.holds(!missing.includes("plant-7"), `${kind}: the fleet still misses records after ${starts} connections`);
}

/** `commands`: of the fleet itself, which are done, and each once. */
function judgeRecords({ kind, site, claims }: Scene, minutes: number, commands: number): void {
  const counts = besidePasses(site.data);
  claims.figure(`${kind}: records that no pass made`, Object.fromEntries(counts));
  const done = countOf(counts, "command done");
  claims.holds(done === commands, `${kind}: ${done} commands were done, ${commands} were the fleet's`);
  const changes = countOf(counts, "mode") + countOf(counts, "latch");
  claims.holds(changes === commands, `${kind}: ${changes} changes of a mode or the latch`);
  const most = MOST_AT_ONCE + MOST_A_MINUTE * minutes;
  claims.holds(
    countOf(counts) <= most,
    `${kind}: the attack caused ${countOf(counts)} records, at most ${most} wanted`,
  );
  const lines = site.daemonLines;
  claims.figure(`${kind}: lines that the daemon logged`, lines);
  claims.holds(lines <= most, `${kind}: the daemon logged ${lines} lines, at most ${most} wanted`);
}
