import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { childPath } from "../../daemon/children.ts";
import { cellTime, readCsv } from "../../daemon/csv.ts";
import type { PlacedDecision } from "../../daemon/log-reader.ts";
import type { Status } from "../../daemon/status.ts";
import { becomes, Claims, ledgersBalance, sleep } from "./claims.ts";
import { holdfast, type RunningDaemon, startDaemon, startMosquitto, temporaryFolder } from "./daemon.ts";
import { countersIn, decisionsIn } from "./fixtures.ts";
import type { Trial, TrialOptions, TrialResult } from "./trial.ts";

const SERIES = "machine_temperature_system_failure.csv";
const AGENT = "machine-temperature";
const RULE = "unusual-day";
const PER_SECOND = 3000;
/** What a feed has to reach; asked only of feeds that last for some seconds. */
const LEAST_PER_SECOND = 2000;
const JUDGED_ROWS = 10_000;
const DAY_MS = 86_400_000;
const DRAIN_MS = 60_000;

/** Where the recorded series lies, beside the clone; undefined when it is not there. */
export function seriesFolder(): string | undefined {
  const found = ["../../../shared/data/nab/", "../../../../shared/data/nab/"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((folder) => existsSync(join(folder, SERIES)));
  return found;
}

/** A recorded series through mosquitto and the daemon: each reading one delivery, each pass one decision. */
export const trial: Trial = async (options) => {
  const folder = seriesFolder();
  if (folder === undefined)
    return {
      figures: {},
      failures: [
        `there is no ../shared/data/nab/${SERIES} beside the clone: it is data/realKnownCause/${SERIES} of the Numenta Anomaly Benchmark, with windows.json (labels/combined_windows.json) beside it`,
      ],
    };
  return await feedSeries(folder, options);
};

interface Feed {
  readonly csv: string;
  /** Event times of the rows, in the order of the file. */
  readonly times: readonly number[];
  readonly sent: number;
  readonly seconds: number;
}

/** `rounds`: only the first rows. */
async function feedSeries(series: string, options: TrialOptions): Promise<TrialResult> {
  const claims = new Claims(options.say);
  const folder = temporaryFolder("feed");
  const broker = await startMosquitto(folder);
  const data = join(folder, "data");
  const config = exampleOn(broker.url, folder);
  const daemon = await startDaemon(config, data);
  try {
    const balance = watchLedgers(daemon, claims);
    const feed = await feedRows(join(series, SERIES), broker.url, options.rounds);
    await becomes(async () => isDrained(await daemon.status(), feed.sent), DRAIN_MS);
    await balance.end();
    const status = await daemon.status();
    claims.holds((await daemon.stop()) === 0, "the daemon did not stop in order");
    const decisions = decisionsIn(data, AGENT);
    countEach({ claims, feed, status, data, decisions });
    comparePasses({ claims, feed, status, data, decisions });
    const alarms = alarmsIn(decisions);
    judge(alarms, feed.times, labels(series), claims);
    if (unanswered(decisions).length === 0) compareWithTry(config, feed, alarms, claims);
    verify(data, claims);
  } finally {
    await daemon.kill();
    await broker.stop();
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
}

/** The example as it is, with the broker that is there in place of one of its own. */
function exampleOn(url: string, folder: string): string {
  const example = ["../../", "../../../"]
    .map((root) => fileURLToPath(new URL(`${root}config/examples/${AGENT}/holdfast.yaml`, import.meta.url)))
    .find((file) => existsSync(file));
  if (example === undefined) throw new Error("the example is not there");
  const before = readFileSync(example, "utf8");
  const after = before.replace(/^bus: .*$/m, `bus: { kind: external, url: "${url}" }`);
  if (after === before) throw new Error("the example names its bus in another way than on one line");
  cpSync(dirname(example), folder, { recursive: true });
  const config = join(folder, "holdfast.yaml");
  writeFileSync(config, after);
  return config;
}

/** Asks for the status again and again; both ledgers have to balance each time. */
function watchLedgers(daemon: RunningDaemon, claims: Claims): { end(): Promise<void> } {
  let isOver = false;
  let asked = 0;
  const watching = (async () => {
    for (; !isOver; asked++) {
      claims.holds(ledgersBalance(await daemon.status()), "the ledgers did not balance while readings came in");
      await sleep(100);
    }
  })();
  return {
    end: async () => {
      isOver = true;
      await watching;
      claims.figure("status asked while readings came in", asked);
    },
  };
}

async function feedRows(csv: string, broker: string, limit: number | undefined): Promise<Feed> {
  const topic = "plant/machine-1/temperature";
  const rows = limit === undefined ? [] : ["--limit", String(limit)];
  const args = ["feed", "--csv", csv, "--topic", topic, "--broker", broker, "--rate", String(PER_SECOND), "--json"];
  const child = spawn(process.execPath, [childPath("daemon/main"), ...args, ...rows], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(child, "close");
  const { sent, seconds } = JSON.parse(text) as { sent: number; seconds: number };
  const times: number[] = [];
  for await (const row of readCsv(csv)) {
    if (times.length < sent) times.push(cellTime(row.cells["timestamp"] ?? ""));
  }
  return { csv, times, sent, seconds };
}

function isDrained(status: Status, sent: number): boolean {
  const { deliveries, passes, bus } = status;
  return deliveries.total >= sent && deliveries.queued + passes.inFlight + bus.heldAcknowledgements === 0;
}

interface Outcome {
  readonly claims: Claims;
  readonly feed: Feed;
  readonly status: Status;
  readonly data: string;
  readonly decisions: readonly PlacedDecision[];
}

/** Each reading is one delivery, in the running daemon and in the log. */
function countEach({ claims, feed, status, data }: Outcome): void {
  const perSecond = Math.round(feed.sent / feed.seconds);
  claims.figure("readings sent, seconds, a second", `${feed.sent}, ${feed.seconds}, ${perSecond}`);
  if (feed.sent >= JUDGED_ROWS)
    claims.holds(perSecond >= LEAST_PER_SECOND, `only ${perSecond} readings a second went through`);
  const { total, accepted } = status.deliveries;
  claims.figure("deliveries, accepted", `${total}, ${accepted}`);
  claims.holds(total === feed.sent, `${total} deliveries for ${feed.sent} readings`);
  claims.holds(accepted === feed.sent, `${accepted} of ${feed.sent} readings were accepted`);
  claims.holds(ledgersBalance(status), "the ledgers do not balance at the end");
  const counted = countersIn(data)[AGENT] ?? {};
  claims.holds(counted["accepted"] === feed.sent, `the log counts ${counted["accepted"]} accepted`);
  claims.holds(counted["decided"] === status.passes.decided, `the log counts ${counted["decided"]} decided`);
}

/** Each pass that was opened is one decision; the readings without a pass are the first ones, and counted. */
function comparePasses({ claims, feed, status, data, decisions }: Outcome): void {
  const { opened, decided } = status.passes;
  const counted = countersIn(data)[AGENT] ?? {};
  const notOpened = Object.entries(counted).filter(([name]) => name.startsWith("notOpened:"));
  const without = notOpened.reduce((sum, [, n]) => sum + n, 0);
  const why = notOpened.map(([name, n]) => `${n} ${name.slice("notOpened:".length)}`).join(", ");
  claims.figure("passes opened, decided, decisions in the log", `${opened}, ${decided}, ${decisions.length}`);
  claims.figure("passes not opened, why", why === "" ? "none" : why);
  claims.holds(opened === decided && decisions.length === opened, `${decisions.length} decisions of ${opened} passes`);
  claims.holds(opened + without === feed.sent, `${opened} passes and ${without} without for ${feed.sent} readings`);
  const ids = new Set(decisions.map((one) => one.decision.id));
  claims.holds(ids.size === decisions.length, `${decisions.length - ids.size} decisions have the id of another`);
  const open = new Map<number, number>();
  for (const at of feed.times.slice(without)) open.set(at, (open.get(at) ?? 0) + 1);
  for (const { decision } of decisions) open.set(decision.eventTime, (open.get(decision.eventTime) ?? 0) - 1);
  const wrong = [...open.values()].filter((left) => left !== 0).length;
  claims.holds(wrong === 0, `${wrong} event times have more or fewer decisions than readings`);
  const reasons = new Map<string, number>();
  for (const { decision } of unanswered(decisions))
    reasons.set(decision.reason ?? "?", (reasons.get(decision.reason ?? "?") ?? 0) + 1);
  const whyNot = [...reasons].map(([reason, n]) => `${n} ${reason}`).join(", ");
  claims.figure("decisions without an answer, why", whyNot === "" ? "none" : whyNot);
}

/** On a machine that is busy with other things an answer may be late; that is told, and no failure of the counting. */
function unanswered(decisions: readonly PlacedDecision[]): PlacedDecision[] {
  return decisions.filter((one) => one.decision.source !== "answer");
}

/** From when the rule fired to when it cleared: the time in which somebody who looks sees the alarm. */
interface Alarm {
  readonly from: number;
  to: number;
}

function alarmsIn(decisions: readonly PlacedDecision[]): Alarm[] {
  const alarms: Alarm[] = [];
  for (const { decision } of decisions) {
    const rule = decision.rules.find((one) => one.id === RULE);
    if (rule?.fired === true) alarms.push({ from: decision.eventTime, to: decision.eventTime });
    const last = alarms.at(-1);
    if (rule?.why === "still firing" && last !== undefined) last.to = decision.eventTime;
  }
  return alarms;
}

type Label = readonly [number, number];

function labels(series: string): Label[] {
  const all = JSON.parse(readFileSync(join(series, "windows.json"), "utf8")) as Record<string, [string, string][]>;
  return (all[SERIES] ?? []).map(([from, to]) => [cellTime(from), cellTime(to)]);
}

/**
 * How many labelled windows were flagged, and how many alarms lie outside. An alarm that began before the window and
 * still stands in it is told apart from one that begins in it: the strict count and the count that a person makes.
 */
function judge(alarms: readonly Alarm[], times: readonly number[], labelled: readonly Label[], claims: Claims): void {
  const seen = labelled.filter(([from]) => from <= (times.at(-1) ?? 0));
  const begins = (alarm: Alarm, [from, to]: Label): boolean => alarm.from >= from && alarm.from <= to;
  const stands = (alarm: Alarm, [from, to]: Label): boolean => alarm.from <= to && alarm.to >= from;
  const inLabels = seen.reduce((sum, [from, to]) => sum + (to - from), 0);
  const days = (Math.max(...times) - Math.min(...times) - inLabels) / DAY_MS;
  claims.figure(
    "rule fired at, for hours",
    alarms.map(({ from, to }) => `${new Date(from).toISOString().slice(0, 16)} ${Math.round((to - from) / 3_600_000)}`),
  );
  for (const [title, isFlag] of [
    ["fires within", begins],
    ["alarm stands within", stands],
  ] as const) {
    const flagged = seen.filter((label) => alarms.some((alarm) => isFlag(alarm, label))).length;
    const outside = alarms.filter((alarm) => !seen.some((label) => isFlag(alarm, label))).length;
    const aDay = (outside / days).toFixed(3);
    claims.figure(
      `labelled windows, ${title}`,
      `${flagged} of ${seen.length}; outside ${outside} in ${days.toFixed(1)} days, ${aDay} a day`,
    );
  }
}

/** `holdfast try` over the same rows says the same, to the minute. */
function compareWithTry(config: string, feed: Feed, alarms: readonly Alarm[], claims: Claims): void {
  const fired = alarms.map((alarm) => alarm.from);
  const text = holdfast(["try", "--config", config, "--agent", AGENT, "--csv", feed.csv, "--json"]);
  const tried = JSON.parse(text) as { fired: { rule: string; times: string[] }[] };
  const times = tried.fired.find((one) => one.rule === RULE)?.times.map((at) => Date.parse(at)) ?? [];
  const last = Math.max(...feed.times);
  const isSame = JSON.stringify(times.filter((at) => at <= last)) === JSON.stringify(fired);
  claims.figure("fired at the times that `holdfast try` says", isSame ? "yes" : `no: ${times.join(" ")}`);
  claims.holds(isSame, "the daemon fired at other times than `holdfast try` says");
}

function verify(data: string, claims: Claims): void {
  const verified = JSON.parse(holdfast(["audit", "verify", "--data", data, "--json"])) as { ok: boolean; rows: number };
  claims.figure("rows of the chain that verify", verified.ok ? verified.rows : "the chain is broken");
  claims.holds(verified.ok, "the chain does not verify");
}
