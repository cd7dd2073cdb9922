import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Status } from "../../daemon/status.ts";
import { becomes, Claims, ledgersBalance, sleep, spread } from "./claims.ts";
import { freePort, type LogLine, type RunningDaemon, startDaemon, temporaryFolder } from "./daemon.ts";
import { busOf, decisionsIn, fixtureModel, goodAgent, goodPayload, goodTopic } from "./fixtures.ts";
import { paced, Sensor } from "./sensor.ts";
import type { Trial, TrialOptions } from "./trial.ts";

const GOOD_PER_SECOND = 200;
const PROVOKE_EVERY_MS = 250;
const PROVOKE_MS = 30_000;
const WAIT_MS = 30_000;
const BEFORE_MS = 4000;
const MEMORY_MB = 300;

type Lane = "own" | "shared";

interface BadModel {
  readonly name: string;
  readonly fields: Readonly<Record<string, object>>;
  /** The message that it can not stand, and one that is fine where there is one. */
  readonly bad: object;
  readonly fine?: object;
  readonly endsAs: "quarantined" | "refused";
  /** How the decisions without an answer begin to say why. */
  readonly reasons: readonly string[];
}

const integer = { type: "integer" };

const badModels: readonly BadModel[] = [
  {
    name: "crashing",
    fields: { x: integer, y: integer },
    bad: { x: -2_147_483_648, y: -1 },
    fine: { x: 9, y: 3 },
    endsAs: "quarantined",
    reasons: ["hostDown", "deadline", "quarantined"],
  },
  {
    name: "nan-weights",
    fields: { a: {}, b: {} },
    bad: { a: 1, b: 2 },
    endsAs: "refused",
    reasons: ["quarantined"],
  },
  {
    name: "hanging",
    fields: { trips: {} },
    bad: { trips: 1e9 },
    fine: { trips: 2 },
    endsAs: "quarantined",
    reasons: ["timeout", "deadline", "quarantined", "hostDown"],
  },
  {
    name: "hungry",
    fields: { megabytes: {} },
    bad: { megabytes: 1500 },
    fine: { megabytes: 2 },
    endsAs: "quarantined",
    reasons: ["hostDown", "deadline", "timeout", "quarantined", "runtimeError"],
  },
  {
    name: "cut-short",
    fields: Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`f${at}`, {}])),
    bad: Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`f${at}`, at])),
    endsAs: "refused",
    reasons: ["quarantined"],
  },
];

/**
 * Models that hang, eat memory, crash, are cut short or answer nothing: what is said of them, and what others notice.
 * `--rounds` takes only the first few of them.
 */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  const models = options.rounds === undefined ? badModels : badModels.slice(0, options.rounds);
  for (const bad of models) {
    for (const lane of ["own", "shared"] as const) await oneModel(bad, lane, options, claims);
  }
  return claims.result();
};

function configOf(bad: BadModel, lane: Lane, port: number): object {
  const source = { kind: "mqtt", topic: "bad/{unit}", key: "unit", fields: bad.fields };
  return {
    schemaVersion: 1,
    bus: busOf("embedded", port),
    hosts: { memoryMb: MEMORY_MB, lanes: lane === "own" ? { suspect: {} } : {} },
    agents: { good: goodAgent, bad: { sources: [source], model: bad.name, record: { quiet: "all" } } },
    models: {
      linear: { directory: fixtureModel("linear") },
      [bad.name]: { directory: fixtureModel(bad.name), lane: lane === "own" ? "suspect" : "main" },
    },
  };
}

async function oneModel(bad: BadModel, lane: Lane, options: TrialOptions, claims: Claims): Promise<void> {
  const title = `${bad.name}, ${lane} lane`;
  const folder = temporaryFolder("models");
  const port = await freePort();
  const config = join(folder, "holdfast.yaml");
  const data = join(folder, "data");
  writeFileSync(config, JSON.stringify(configOf(bad, lane, port)));
  const daemon = await startDaemon(config, data);
  const sensor = await new Sensor(port, "good").open();
  const other = await new Sensor(port, "bad").open();
  let isOver = false;
  const pacing = paced(
    GOOD_PER_SECOND,
    () => isOver,
    (index) => sensor.publish(goodTopic(index), goodPayload(index), 1),
  );
  try {
    if (bad.fine !== undefined) other.publish("bad/u0", JSON.stringify(bad.fine), 1);
    await sleep(options.rounds === undefined ? BEFORE_MS : BEFORE_MS / 4);
    const startedMs = Date.now();
    const status = await provoke(bad, daemon, other);
    const endedMs = Date.now();
    await sleep(2000);
    isOver = true;
    const sent = await pacing;
    claims.holds(await sensor.settled(WAIT_MS), `${title}: good messages were not acknowledged`);
    claims.holds(await other.settled(WAIT_MS), `${title}: messages of the bad agent were not acknowledged`);
    claims.holds(ledgersBalance(await daemon.status()), `${title}: the ledgers do not balance`);
    reportModel(title, bad, status, daemon.lines, claims);
    claims.holds((await daemon.stop()) === 0, `${title}: the daemon did not stop in order`);
    reportDecisions({ title, bad, lane, data, sent, startedMs, endedMs, claims });
  } finally {
    isOver = true;
    sensor.close();
    other.close();
    await daemon.kill();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}

/** Sends what the model can not stand until it is put away. */
async function provoke(bad: BadModel, daemon: RunningDaemon, sensor: Sensor): Promise<Status> {
  const until = performance.now() + PROVOKE_MS;
  let status = await daemon.status();
  do {
    sensor.publish("bad/u0", JSON.stringify(bad.bad), 1);
    await sleep(PROVOKE_EVERY_MS);
    status = await daemon.status();
  } while (performance.now() < until && !isAway(status, bad));
  for (let more = 0; more < 4; more++) sensor.publish("bad/u0", JSON.stringify(bad.bad), 1);
  await becomes(async () => (await daemon.status()).passes.inFlight < 10, WAIT_MS);
  return await daemon.status();
}

function isAway(status: Status, bad: BadModel): boolean {
  return status.models.some((model) => model.name === bad.name && model.state === bad.endsAs);
}

function reportModel(title: string, bad: BadModel, status: Status, lines: readonly LogLine[], claims: Claims): void {
  const model = status.models.find((one) => one.name === bad.name);
  claims.holds(model?.state === bad.endsAs, `${title}: the model ended as ${model?.state}, not ${bad.endsAs}`);
  const good = status.models.find((one) => one.name === "linear");
  claims.holds(good?.strikes === 0, `${title}: the good model got ${good?.strikes} strikes`);
  const restarts = status.hosts.reduce((sum, host) => sum + host.restarts, 0);
  claims.figure(`${title}: status of the model`, `${model?.state}, strikes ${model?.strikes}: ${model?.reason}`);
  const said = lines.filter((line) => line.level === "warn" || line.level === "error");
  claims.holds(said.length > 0, `${title}: no log line tells of it`);
  const sentences = new Set(said.map((line) => `${line.msg}: ${String(line.reason).slice(0, 160)}`));
  claims.figure(`${title}: hosts started again, log lines`, `${restarts}; ${[...sentences].join(" | ")}`);
}

interface Outcome {
  readonly title: string;
  readonly bad: BadModel;
  readonly lane: Lane;
  readonly data: string;
  readonly sent: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly claims: Claims;
}

function reportDecisions(outcome: Outcome): void {
  const { title, bad, lane, data, sent, startedMs, endedMs, claims } = outcome;
  const reasons = new Map<string, number>();
  for (const { decision } of decisionsIn(data, "bad")) {
    const reason = decision.source === "fallback" ? (decision.reason?.split(":", 1)[0] ?? "?") : "an answer";
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const fell = [...reasons.keys()].filter((reason) => reason !== "an answer");
  claims.holds(
    fell.length > 0 && fell.every((reason) => bad.reasons.includes(reason)),
    `${title}: its decisions say ${JSON.stringify([...reasons])}`,
  );
  claims.figure(`${title}: decisions of its agent`, Object.fromEntries(reasons));
  const before: number[] = [];
  const during: number[] = [];
  let fallbacks = 0;
  let after = 0;
  const decisions = decisionsIn(data, "good");
  for (const { decision } of decisions) {
    const isFallback = decision.source === "fallback";
    if (isFallback) fallbacks += 1;
    if (isFallback && decision.eventTime > endedMs) after += 1;
    const tookMs = decision.decidedAt - decision.eventTime;
    if (decision.eventTime < startedMs) before.push(tookMs);
    else if (decision.eventTime < endedMs) during.push(tookMs);
  }
  claims.holds(decisions.length === sent, `${title}: ${sent} good messages became ${decisions.length} decisions`);
  claims.holds(lane === "shared" || fallbacks === 0, `${title}: ${fallbacks} good messages had no answer`);
  claims.holds(after === 0, `${title}: ${after} good messages had no answer after the bad model was put away`);
  claims.figure(`${title}: good messages, ms to the decision, before`, spread(before));
  claims.figure(`${title}: good messages, ms to the decision, meanwhile`, {
    ...spread(during),
    withoutAnswer: fallbacks,
  });
}
