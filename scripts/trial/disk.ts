import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { becomes, Claims, ledgersBalance, megabytes, sleep } from "./claims.ts";
import { freePort, holdfast, type RunningDaemon, residentBytes, startDaemon, temporaryFolder } from "./daemon.ts";
import { busOf, countersIn, decisionsIn, fixtureModel, goodAgent, goodPayload, goodTopic } from "./fixtures.ts";
import { paced, Sensor } from "./sensor.ts";
import { SmallDisk } from "./small-disk.ts";
import type { Trial, TrialOptions } from "./trial.ts";

const DISK_MB = 48;
const LEFT_BYTES = 6 * 1_048_576;
const PER_SECOND = 500;
const FULL_SECONDS = 6;
const WAIT_MS = 60_000;
const QUOTA_BYTES = 32 * 1_048_576;
const MOST_GROWTH_BYTES = 64 * 1_048_576;

/**
 * A disk that is full while decisions are made, and then is not; a budget that is used up. With `--rounds` so many
 * messages go to the budget, and the disk is filled but once.
 */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  await onSmallDisk("full", options, claims, async (run) => {
    await fillWhileDeciding(run);
    run.disk.free();
    await recovers(run, run.daemon);
    return run.daemon;
  });
  if (options.rounds === undefined)
    await onSmallDisk("full, killed", options, claims, async (run) => {
      await fillWhileDeciding(run);
      await run.daemon.kill();
      // Started on a disk that still is full, it waits for room instead of giving up, and leaves when told to.
      const impatient = ["timeout", "--foreground", "--preserve-status", "4"];
      const left = await startDaemon(run.config, run.data, impatient).then(() => "it was ready", String);
      run.claims.holds(left.includes("ended (0)"), `${run.name}: SIGTERM while it waits for room: ${left}`);
      const starting = startDaemon(run.config, run.data);
      await sleep(2000);
      run.disk.free();
      const again = await starting;
      await recovers(run, again);
      return again;
    });
  await quota(options, claims);
  return claims.result();
};

interface Run {
  readonly name: string;
  readonly claims: Claims;
  readonly config: string;
  readonly data: string;
  readonly disk: SmallDisk;
  readonly daemon: RunningDaemon;
  readonly sensor: Sensor;
  /** Indexes of the messages that were acknowledged. */
  readonly acknowledged: Set<number>;
}

async function onSmallDisk(
  name: string,
  options: TrialOptions,
  claims: Claims,
  work: (run: Run) => Promise<RunningDaemon>,
): Promise<void> {
  const folder = temporaryFolder("disk");
  const disk = new SmallDisk(folder, DISK_MB);
  const port = await freePort();
  const config = join(folder, "holdfast.yaml");
  const data = join(disk.folder, "data");
  writeFileSync(config, JSON.stringify(configOf(port, {})));
  const daemon = await startDaemon(config, data);
  const sensor = await new Sensor(port, "sensor").open();
  const acknowledged = new Set<number>();
  let isOver = false;
  const pacing = paced(
    PER_SECOND,
    () => isOver,
    (index) => sensor.publish(goodTopic(index), goodPayload(index), 1, () => acknowledged.add(index)),
  );
  let last = daemon;
  try {
    claims.figure(`${name}: file system`, `${disk.kind}, ${DISK_MB} MB`);
    last = await work({ name, claims, config, data, disk, daemon, sensor, acknowledged });
    await sleep(1000);
    isOver = true;
    const sent = await pacing;
    claims.holds(await sensor.settled(WAIT_MS), `${name}: ${sensor.unacknowledged} messages were never acknowledged`);
    claims.holds(ledgersBalance(await last.status()), `${name}: the ledgers do not balance at the end`);
    claims.holds((await last.stop()) === 0, `${name}: the daemon did not stop in order`);
    const said = last.lines.filter((line) => line.part === "store").map((line) => String(line.reason));
    claims.figure(`${name}: log lines of the store`, said.join(", "));
    everyAcknowledgedHasItsRecord(name, data, sent, acknowledged, claims);
  } finally {
    isOver = true;
    sensor.close();
    await last.kill();
    disk.remove();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}

function configOf(port: number, store: object): object {
  return {
    schemaVersion: 1,
    bus: busOf("embedded", port),
    store: { ballastBytes: 1_048_576, ...store },
    agents: { good: goodAgent },
    models: { linear: { directory: fixtureModel("linear") } },
  };
}

async function fillWhileDeciding(run: Run): Promise<void> {
  const { name, claims, disk, daemon, acknowledged } = run;
  await becomes(() => acknowledged.size > PER_SECOND, WAIT_MS);
  const memory = residentBytes(daemon.pid);
  disk.fillTo(LEFT_BYTES);
  const isFull = await becomes(() => isStuck(run), WAIT_MS);
  claims.holds(isFull, `${name}: the disk never was full for good, or status did not say so`);
  const before = acknowledged.size;
  let unbalanced = 0;
  for (let second = 0; second < FULL_SECONDS; second += 0.25) {
    if (!ledgersBalance(await daemon.status())) unbalanced += 1;
    await sleep(250);
  }
  const status = await daemon.status();
  const said = daemon.lines.find((line) => line.reason === "store is full");
  claims.holds(status.store.state === "full", `${name}: status says ${status.store.state} on a full disk`);
  claims.holds(said !== undefined, `${name}: no log line tells that the disk is full`);
  claims.holds(unbalanced === 0, `${name}: the ledgers did not balance ${unbalanced} times while the disk was full`);
  const meanwhile = acknowledged.size - before;
  claims.holds(meanwhile === 0, `${name}: ${meanwhile} messages were acknowledged while the disk was full`);
  const grown = residentBytes(daemon.pid) - memory;
  claims.holds(grown < MOST_GROWTH_BYTES, `${name}: memory grew by ${megabytes(grown)} MB while the disk was full`);
  claims.figure(`${name}: status while the disk is full`, `${status.store.state}: ${status.store.reason}`);
  claims.figure(
    `${name}: while the disk is full`,
    `${meanwhile} acknowledged in ${FULL_SECONDS} s, ${run.sensor.unacknowledged} wait at the sensor, ${status.deliveries.queued} in the daemon, memory +${megabytes(Math.max(0, grown))} MB`,
  );
}

/** The last room is found in steps (ballast, write-ahead log): full for good is when no more goes on for a while. */
async function isStuck(run: Run): Promise<boolean> {
  const before = run.acknowledged.size;
  await sleep(1500);
  return (await run.daemon.status()).store.state === "full" && run.acknowledged.size === before;
}

async function recovers(run: Run, daemon: RunningDaemon): Promise<void> {
  const { name, claims, sensor } = run;
  const startedMs = performance.now();
  const isOpen = await becomes(async () => (await daemon.status()).store.state === "ok", WAIT_MS);
  claims.holds(isOpen, `${name}: the store is not open again after there was room`);
  const seconds = (performance.now() - startedMs) / 1000;
  claims.figure(`${name}: writes again after`, `${seconds.toFixed(1)} s of having room`);
  claims.holds(
    await becomes(() => sensor.unacknowledged < PER_SECOND, WAIT_MS),
    `${name}: ${sensor.unacknowledged} messages still wait long after there was room`,
  );
}

function everyAcknowledgedHasItsRecord(
  name: string,
  data: string,
  sent: number,
  acknowledged: ReadonlySet<number>,
  claims: Claims,
): void {
  const records = new Map<string, number>();
  for (const { decision } of decisionsIn(data)) {
    const id = decision.eventId ?? "";
    records.set(id, (records.get(id) ?? 0) + 1);
  }
  const lost = [...acknowledged].filter((index) => !records.has(`g${index}`)).length;
  const twice = [...records.values()].filter((count) => count > 1).length;
  const shed = countersIn(data)["good"]?.["shed"] ?? 0;
  claims.holds(lost - shed <= 0, `${name}: ${lost} acknowledged messages have no record, ${shed} were shed`);
  claims.holds(twice === 0, `${name}: ${twice} messages have two records`);
  claims.figure(
    `${name}: messages sent, acknowledged, decided, shed and counted`,
    `${sent}, ${acknowledged.size}, ${records.size}, ${shed}`,
  );
  verifies(name, data, claims);
}

function verifies(name: string, data: string, claims: Claims): void {
  const verified = JSON.parse(holdfast(["audit", "verify", "--data", data, "--json"])) as {
    ok: boolean;
    rows: number;
    droppedRows: number;
  };
  claims.holds(verified.ok, `${name}: the chain does not verify`);
  claims.figure(`${name}: the chain`, `holds over ${verified.rows} rows; ${verified.droppedRows} went by retention`);
}

/** `store.maxBytes` reached: the oldest rows go, the newest are written, and what went is accounted for. */
async function quota(options: TrialOptions, claims: Claims): Promise<void> {
  const folder = temporaryFolder("quota");
  const port = await freePort();
  const config = join(folder, "holdfast.yaml");
  const data = join(folder, "data");
  const messages = options.rounds ?? 80_000;
  writeFileSync(config, JSON.stringify(configOf(port, { maxBytes: QUOTA_BYTES })));
  const daemon = await startDaemon(config, data);
  const sensor = await new Sensor(port, "sensor").open();
  let largest = 0;
  let unbalanced = 0;
  try {
    for (let index = 0; index < messages; index++) {
      await sensor.room(512);
      sensor.publish(goodTopic(index), goodPayload(index), 1);
      if (index % 1000 !== 0) continue;
      const status = await daemon.status();
      largest = Math.max(largest, status.store.bytes + status.store.walBytes);
      if (!ledgersBalance(status)) unbalanced += 1;
    }
    claims.holds(await sensor.settled(WAIT_MS), `quota: ${sensor.unacknowledged} messages were never acknowledged`);
    await becomes(async () => (await daemon.status()).passes.decided === messages, WAIT_MS);
    const status = await daemon.status();
    claims.holds(status.passes.decided === messages, `quota: ${status.passes.decided} of ${messages} decided`);
    claims.holds(unbalanced === 0, `quota: the ledgers did not balance ${unbalanced} times`);
    claims.holds(largest <= QUOTA_BYTES, `quota: database and WAL took ${largest} of ${QUOTA_BYTES} bytes`);
    claims.holds((await daemon.stop()) === 0, "quota: the daemon did not stop in order");
    claims.figure("quota: store.maxBytes, and the most that database and WAL took", `${QUOTA_BYTES}, ${largest}`);
    claims.figure("quota: decisions made, still there", `${messages}, ${decisionsIn(data).length}`);
    claims.holds(countersIn(data)["good"]?.["decided"] === messages, "quota: the roll-ups lost count");
    verifies("quota", data, claims);
  } finally {
    sensor.close();
    await daemon.kill();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}
