import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { becomes, Claims, ledgersBalance, megabytes, sleep, spread } from "./claims.ts";
import {
  freePort,
  holdfast,
  type LogLine,
  type RunningDaemon,
  residentBytes,
  startDaemon,
  startMosquitto,
  temporaryFolder,
} from "./daemon.ts";
import { busOf, countersIn, decisionsIn, fixtureModel, goodAgent, goodPayload, goodTopic } from "./fixtures.ts";
import { generated, type Hostile, handMade, tenMegabytes } from "./hostile-payloads.ts";
import { paced, Sensor } from "./sensor.ts";
import type { Trial, TrialOptions } from "./trial.ts";

type BusKind = "embedded" | "external";

const GOOD_PER_SECOND = 200;
const HOSTILE_PER_SECOND = 1000;
const IN_FLIGHT = 64;
/** So many of the payloads have ten megabytes. */
const LARGE = 4;
/** The daemon's memory may be larger by so much when all is over. */
const MOST_GROWTH_BYTES = 96 * 1_048_576;
const WAIT_MS = 60_000;
/** From so many payloads on, the first half of them says how much memory the second may take. */
const LONG = 5000;
const SEED = 1;
const HUGE_BYTES = 20 * 1_048_576;

/** Payloads that are no events, among good ones: each is counted with its reason, and nothing else happens. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  const buses: readonly BusKind[] = options.bus === undefined ? ["embedded", "external"] : [options.bus];
  for (const bus of buses) await hostileOn(bus, options, claims);
  return claims.result();
};

async function hostileOn(bus: BusKind, options: TrialOptions, claims: Claims): Promise<void> {
  const folder = temporaryFolder(`hostile-${bus}`);
  const broker = bus === "external" ? await startMosquitto(folder) : undefined;
  const port = broker?.port ?? (await freePort());
  const config = join(folder, "holdfast.yaml");
  const data = join(folder, "data");
  writeFileSync(config, JSON.stringify(configOf(bus, port)));
  const daemon = await startDaemon(config, data);
  try {
    const sent = payloads(options.rounds ?? 20_000);
    const attack = await attackWith(sent, port, daemon, claims, bus);
    await sendHuge(bus, port, daemon, claims);
    claims.holds((await daemon.stop()) === 0, `${bus}: the daemon did not stop in order`);
    compareReasons(bus, data, sent, claims);
    compareGood(bus, data, attack, claims);
  } finally {
    await daemon.kill();
    await broker?.stop();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}

function configOf(bus: BusKind, port: number): object {
  const source = { kind: "mqtt", fields: { vibration: { min: 0, max: 60 } } };
  const jsonSource = {
    ...source,
    topic: "hostile/json",
    key: { path: "key" },
    timestamp: { path: "ts", unit: "ms" },
  };
  const csvSource = {
    ...source,
    topic: "hostile/csv",
    format: "csv",
    header: ["ts", "vibration"],
    timestamp: { column: "ts", unit: "ms" },
  };
  const rules = [{ id: "shaking", when: "event.fields.vibration > 50.0" }];
  return {
    schemaVersion: 1,
    bus: busOf(bus, port),
    agents: {
      good: goodAgent,
      "hostile-json": { sources: [jsonSource], event: { id: { path: "id" } }, rules },
      "hostile-scalar": { sources: [{ ...source, topic: "hostile/scalar", format: "scalar" }], rules },
      "hostile-csv": { sources: [csvSource], rules },
    },
    models: { linear: { directory: fixtureModel("linear") } },
  };
}

/** The hand-made ones again and again among generated ones, and a few very large ones. */
function payloads(count: number): Hostile[] {
  const known = handMade();
  const rounds = Math.max(1, Math.floor(count / known.length / 8));
  const many = Array.from({ length: rounds }, () => known).flat();
  const large = Array.from({ length: Math.min(LARGE, count) }, tenMegabytes);
  const others = generated(Math.max(0, count - many.length - large.length), SEED);
  const all = [...many, ...others];
  // Spread evenly, in an order that is the same each time.
  all.sort((a, b) => a.payload.length * 7919 - b.payload.length * 7919 || 0);
  const mixed: Hostile[] = [];
  const step = 7919;
  for (let at = 0, place = 0; at < all.length; at++, place = (place + step) % all.length) mixed.push(all[place]!);
  const every = Math.floor(mixed.length / (large.length + 1));
  for (const [at, one] of large.entries()) mixed.splice(every * (at + 1) + at, 0, one);
  return mixed;
}

interface Attacked {
  readonly goodSent: number;
  readonly startedMs: number;
  readonly endedMs: number;
}

async function attackWith(
  sent: readonly Hostile[],
  port: number,
  daemon: RunningDaemon,
  claims: Claims,
  bus: BusKind,
): Promise<Attacked> {
  const good = await new Sensor(port, "good").open();
  const hostile = await new Sensor(port, "hostile").open();
  const tookMs: { before: number[]; during: number[] } = { before: [], during: [] };
  let phase: "before" | "during" = "before";
  let isOver = false;
  const pacing = paced(
    GOOD_PER_SECOND,
    () => isOver,
    (index) => {
      const list = tookMs[phase];
      good.publish(goodTopic(index), goodPayload(index), 1, (ms) => list.push(ms));
    },
  );
  await becomes(() => tookMs.before.length >= Math.min(1600, sent.length / 5), WAIT_MS);
  const memory = [residentBytes(daemon.pid)];
  const startedMs = Date.now();
  phase = "during";
  const beganMs = performance.now();
  for (const [at, one] of sent.entries()) {
    await hostile.room(IN_FLIGHT);
    const aheadMs = beganMs + (at * 1000) / HOSTILE_PER_SECOND - performance.now();
    if (aheadMs > 2) await sleep(aheadMs);
    hostile.publish(one.topic, one.payload, at % 2 === 0 ? 1 : 0);
    if (at % Math.ceil(sent.length / 20) === 0) memory.push(residentBytes(daemon.pid));
  }
  claims.holds(
    await hostile.settled(WAIT_MS),
    `${bus}: ${hostile.unacknowledged} hostile messages of QoS 1 were never acknowledged`,
  );
  const isCounted = await becomes(async () => invalidIn(await daemon.status()) >= sent.length, WAIT_MS);
  const endedMs = Date.now();
  isOver = true;
  const goodSent = await pacing;
  claims.holds(await good.settled(WAIT_MS), `${bus}: good messages were not acknowledged`);
  await becomes(async () => (await daemon.status()).passes.decided >= goodSent, WAIT_MS);
  const status = await daemon.status();
  memory.push(residentBytes(daemon.pid));
  claims.holds(
    isCounted && invalidIn(status) === sent.length,
    `${bus}: ${invalidIn(status)} of ${sent.length} counted as invalid`,
  );
  claims.holds(
    ledgersBalance(status),
    `${bus}: the ledgers do not balance: ${JSON.stringify([status.deliveries, status.passes])}`,
  );
  claims.holds(
    hostile.connections === 1 && good.connections === 1,
    `${bus}: a sensor was cut off (${hostile.connections} connections)`,
  );
  const connected = daemon.lines.filter((line) => line.msg === "bus is connected").length;
  claims.holds(connected <= 1, `${bus}: the daemon connected ${connected} times`);
  claims.figure(
    `${bus}: hostile payloads (all counted as invalid)`,
    `${sent.length} in ${Math.round((endedMs - startedMs) / 100) / 10} s`,
  );
  reportMemory(bus, memory, sent.length >= LONG, claims);
  if (bus === "embedded") {
    claims.figure("embedded: good message to its PUBACK, ms, before", spread(tookMs.before));
    claims.figure("embedded: good message to its PUBACK, ms, meanwhile", spread(tookMs.during));
  }
  good.close();
  hostile.close();
  return { goodSent, startedMs, endedMs };
}

/** A message that no limit allows for: the embedded broker hangs up on it and says so, an external one keeps it. */
async function sendHuge(bus: BusKind, port: number, daemon: RunningDaemon, claims: Claims): Promise<void> {
  const before = await daemon.status();
  const memory = residentBytes(daemon.pid);
  const sensor = await new Sensor(port, "huge").open();
  sensor.publish("hostile/json", Buffer.alloc(HUGE_BYTES, 0x78), 1);
  const isEmbedded = bus === "embedded";
  await becomes(() => (isEmbedded ? sensor.connections > 1 : sensor.unacknowledged === 0), WAIT_MS);
  sensor.close();
  await sleep(500);
  const words = (): LogLine | undefined => daemon.lines.find((line) => line.reason === "packetTooLarge");
  if (isEmbedded) await becomes(() => words() !== undefined, WAIT_MS);
  const said = words();
  const after = await daemon.status();
  claims.holds(
    after.bus.connected && after.deliveries.invalid === before.deliveries.invalid,
    `${bus}: 20 MB reached the daemon or broke its connection`,
  );
  if (isEmbedded) {
    claims.holds(said !== undefined, "embedded: nothing was said of the sensor that was cut off");
    claims.holds(sensor.connections > 1, "embedded: the sensor with 20 MB was not cut off");
  } else {
    const dials = daemon.lines.filter((line) => line.msg === "bus is connected").length;
    claims.holds(dials === 1, `external: the daemon connected ${dials} times`);
  }
  const grownMb = megabytes(residentBytes(daemon.pid) - memory);
  const outcome = isEmbedded ? `cut off, said as: ${said?.msg}` : "kept by the broker, the connection stays";
  claims.figure(`${bus}: a message of 20 MB`, `${outcome}; memory ${grownMb >= 0 ? "+" : ""}${grownMb} MB`);
}

function invalidIn(status: { deliveries: { invalid: number } }): number {
  return status.deliveries.invalid;
}

function reportMemory(bus: BusKind, memory: readonly number[], isLong: boolean, claims: Claims): void {
  const [before = 0] = memory;
  const after = memory.at(-1) ?? 0;
  const halfWay = memory[Math.floor(memory.length / 2)] ?? 0;
  const figures = { before, halfWay, highest: Math.max(...memory), after };
  claims.figure(
    `${bus}: resident memory of the daemon, MB`,
    Object.fromEntries(Object.entries(figures).map(([name, bytes]) => [name, megabytes(bytes)])),
  );
  claims.holds(after - before < MOST_GROWTH_BYTES, `${bus}: memory grew by ${megabytes(after - before)} MB`);
  claims.holds(!isLong || after - halfWay < MOST_GROWTH_BYTES / 3, `${bus}: memory still grew in the second half`);
}

/** Reason by reason, what the log counted against what was sent. */
function compareReasons(bus: BusKind, data: string, sent: readonly Hostile[], claims: Claims): void {
  const expected = new Map<string, number>();
  for (const { topic, reason } of sent) {
    const name = `${topic.replace("/", "-")} invalid:${reason}`;
    expected.set(name, (expected.get(name) ?? 0) + 1);
  }
  const counted = new Map<string, number>();
  const byReason = new Map<string, number>();
  for (const [agent, counters] of Object.entries(countersIn(data))) {
    for (const [counter, count] of Object.entries(counters)) {
      if (!counter.startsWith("invalid:")) continue;
      counted.set(`${agent} ${counter}`, count);
      const reason = counter.split(":")[1] ?? "";
      byReason.set(reason, (byReason.get(reason) ?? 0) + count);
    }
  }
  for (const name of new Set([...expected.keys(), ...counted.keys()]))
    claims.holds(
      expected.get(name) === counted.get(name),
      `${bus}: ${name}: ${expected.get(name) ?? 0} were sent, ${counted.get(name) ?? 0} counted`,
    );
  claims.figure(`${bus}: counted by reason`, Object.fromEntries([...byReason].sort((a, b) => b[1] - a[1])));
}

/** Good messages: each decided once, and how long from the sensor's clock to the decision. */
function compareGood(bus: BusKind, data: string, attack: Attacked, claims: Claims): void {
  const before: number[] = [];
  const during: number[] = [];
  const ids = new Set<string>();
  const decisions = decisionsIn(data, "good");
  for (const { decision } of decisions) {
    ids.add(decision.eventId ?? "");
    const list = decision.eventTime < attack.startedMs ? before : during;
    if (decision.eventTime <= attack.endedMs) list.push(decision.decidedAt - decision.eventTime);
  }
  claims.holds(
    ids.size === attack.goodSent && decisions.length === attack.goodSent,
    `${bus}: ${attack.goodSent} good messages became ${decisions.length} decisions of ${ids.size} events`,
  );
  claims.figure(`${bus}: good message to its decision, ms, before`, spread(before));
  claims.figure(`${bus}: good message to its decision, ms, meanwhile`, spread(during));
  const verified = JSON.parse(holdfast(["audit", "verify", "--data", data, "--json"])) as { ok: boolean };
  claims.holds(verified.ok, `${bus}: the chain does not verify`);
}
