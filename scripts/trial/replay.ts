import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { childPath } from "../../daemon/children.ts";
import type { Report } from "../../daemon/replay/report.ts";
import { becomes, Claims, megabytes } from "./claims.ts";
import { freePort, holdfast, startDaemon, temporaryFolder } from "./daemon.ts";
import { busOf, decisionsIn, fixtureModel } from "./fixtures.ts";
import { Sensor } from "./sensor.ts";
import type { Trial } from "./trial.ts";

const MESSAGES = 110_000;
const A_ROUND = 1000;
const IN_FLIGHT = 256;
const WAIT_MS = 120_000;
const MEMORY_EVERY_MS = 50;
/** Beside what Node itself takes. */
const MOST_BYTES = 300 * 1_048_576;

const source = {
  kind: "mqtt",
  topic: "good/{sensor}",
  key: "sensor",
  fields: { a: { min: -100, max: 100 }, b: { min: -100, max: 100 } },
};
const drain = [{ tool: "drain", arguments: { id: "event.key", level: "event.fields.a" } }];
const tell = [{ tool: "tell", arguments: { text: "event.key + ' is high'" } }];

/** One agent asks a model and writes every pass down, the other looks at a window and writes one quiet pass in ten. */
function generation(threshold = "8.0"): object {
  return {
    agents: {
      plain: {
        sources: [source],
        model: "linear",
        record: { quiet: "all" },
        rules: [
          { id: "high", when: `event.fields.a > ${threshold}`, do: drain },
          { id: "both", when: "answer.score > 0.0 && event.fields.b > 2.0", cooldownSeconds: 1, do: tell },
        ],
      },
      windowed: {
        sources: [source],
        window: { seconds: 2 },
        features: { a_mean: "mean(a)", a_max: "max(a)" },
        record: { quiet: "sample", probability: 0.1 },
        rules: [
          {
            id: "long",
            when: "features.a_mean > 7.0",
            forSeconds: 0.2,
            clearWhen: "features.a_max < 6.0",
            cooldownSeconds: 1,
            do: tell,
          },
          { id: "rare", when: "features.a_max > 9.5 && state.sinceLastFired > 2", do: drain },
        ],
      },
    },
    tools: {
      drain: { kind: "mqtt", topic: "tank/{id}/drain", payload: { to: "{level}" }, class: "reversible" },
      tell: { kind: "notify" },
    },
    policy: [
      { id: "drains", effect: "permit", tools: ["drain"], when: "event.fields.a < 9.9" },
      { id: "ask-for-s3", effect: "requireApproval", tools: ["drain"], when: "event.key == 's3'" },
    ],
  };
}

/** Each sensor's level goes up and down, one after the other. */
function payload(index: number): string {
  const sensor = index % 8;
  const a = 5 + 5 * Math.sin(index / 1600 + sensor);
  return `{"a":${a.toFixed(4)},"b":${((index * 7) % 61) / 10 - 3}}`;
}

/** `--rounds`: thousands of messages. */
export const trial: Trial = async (options) => {
  const claims = new Claims(options.say);
  const folder = temporaryFolder("replay");
  const place = { folder, data: join(folder, "data"), claims };
  try {
    const messages = options.rounds === undefined ? MESSAGES : options.rounds * A_ROUND;
    await record(place, messages, options.bus ?? "embedded");
    await replayAll(place);
  } finally {
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
};

interface Place {
  readonly folder: string;
  readonly data: string;
  readonly claims: Claims;
}

/** A real daemon decides, judges and writes down. */
async function record({ folder, data, claims }: Place, messages: number, bus: "embedded" | "external"): Promise<void> {
  const config = join(folder, "holdfast.yaml");
  const port = await freePort();
  const models = { linear: { directory: fixtureModel("linear") } };
  writeFileSync(config, JSON.stringify({ schemaVersion: 1, bus: busOf(bus, port), models, ...generation() }));
  const daemon = await startDaemon(config, data);
  const sensor = await new Sensor(port, "tanks").open();
  try {
    holdfast(["mode", "dryRun", "--data", data]);
    for (let index = 0; index < messages; index++) {
      await sensor.room(IN_FLIGHT);
      sensor.publish(`good/s${index % 8}`, payload(index), 1);
    }
    claims.holds(await sensor.settled(WAIT_MS), "messages were not acknowledged");
    await becomes(async () => (await daemon.status()).passes.inFlight === 0, WAIT_MS);
  } finally {
    sensor.close();
    claims.holds((await daemon.stop()) === 0, "the daemon did not stop in order");
  }
  claims.figure("messages to two agents, decisions in the log", `${messages}, ${decisionsIn(data).length}`);
}

async function replayAll(place: Place): Promise<void> {
  const { folder, claims } = place;
  const candidate = (name: string, value: object): string => {
    const file = join(folder, name);
    writeFileSync(file, JSON.stringify(value));
    return file;
  };
  const same = candidate("same.yaml", generation());
  const whole = await timed(place, "what ran: agents and policy", [
    "--agents",
    same,
    "--policy",
    same,
    "--max-difference",
    "0",
  ]);
  claims.holds(whole.status === 0 && whole.report.changed === 0, `what ran differs ${whole.report.changed} times`);
  claims.holds(
    whole.report.actions.unknown === 0,
    `the policy of then says otherwise ${whole.report.actions.unknown} times`,
  );
  claims.holds(whole.report.actions.notProposed === 0, "actions were not found in the log");
  const model = await timed(place, "the model that ran", ["--model", fixtureModel("linear"), "--max-difference", "0"]);
  claims.holds(
    model.status === 0 && model.report.changed === 0,
    `the model that ran differs ${model.report.changed} times`,
  );
  const lower = candidate("lower.yaml", generation("7.0"));
  const changed = await timed(place, "a lower threshold", ["--agents", lower, "--max-difference", "0"]);
  const rule = changed.report.agents.flatMap((agent) => agent.rules).find((one) => one.id === "high");
  claims.holds(changed.status === 1 && (rule?.more ?? 0) > 0, "a lower threshold makes no difference");
  claims.figure(
    "a lower threshold: rule fired, more, fewer, of these earlier",
    `${rule?.recorded}, ${rule?.more}, ${rule?.fewer}, ${rule?.moved}`,
  );
  const strict = candidate("strict.yaml", { policy: [{ id: "never", effect: "forbid", tools: ["drain"] }] });
  const denied = await timed(place, "a policy that forbids", ["--policy", strict]);
  const { table } = denied.report.policy ?? {};
  const asked = (table?.permit.forbid ?? 0) + (table?.requireApproval.forbid ?? 0);
  claims.holds(asked > 0 && asked === denied.report.actions.denied, "a policy that forbids denies nothing");
  claims.figure(
    "a policy that forbids: actions, denied",
    `${denied.report.actions.recorded}, ${denied.report.actions.denied}`,
  );
}

interface Timed {
  readonly status: number | null;
  readonly report: Report;
}

/** Runs the verb in a process of its own, as a person does, and watches its memory. */
async function timed({ data, claims }: Place, title: string, args: readonly string[]): Promise<Timed> {
  const startedMs = performance.now();
  const all = [childPath("daemon/main"), "replay", "--data", data, "--json", ...args];
  const child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  let peakBytes = 0;
  const watch = setInterval(() => {
    peakBytes = Math.max(peakBytes, peakOf(child.pid as number));
  }, MEMORY_EVERY_MS);
  const [status] = (await once(child, "close")) as [number | null];
  clearInterval(watch);
  const seconds = (performance.now() - startedMs) / 1000;
  const report = JSON.parse(out) as Report;
  claims.figure(
    `${title}: decisions, a second, most memory`,
    `${report.decisions}, ${Math.round(report.decisions / seconds)}, ${megabytes(peakBytes)} MB`,
  );
  claims.holds(peakBytes < MOST_BYTES, `${title}: it took ${megabytes(peakBytes)} MB`);
  return { status, report };
}

function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024;
  } catch {
    // It has just ended.
    return 0;
  }
}
