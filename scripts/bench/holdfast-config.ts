import type { BenchModel } from "./model.ts";
import { HIGH } from "./templates.ts";

export const TOPIC = "bench/telemetry";

export interface HoldfastSetup {
  readonly port: number;
  readonly qos: 0 | 1;
  readonly commitDelayMs: number;
  readonly model: BenchModel;
  /** Each message leads to an effect; see `acting`. */
  readonly acts: boolean;
}

/** Everything on: JSON is YAML too. */
export function holdfastConfig(setup: HoldfastSetup): Record<string, unknown> {
  const { model, qos, port, commitDelayMs } = setup;
  const fields = Object.fromEntries(
    model.features.map(({ name, unit }) => [name, { path: name, ...(unit === undefined ? {} : { unit }) }]),
  );
  const source = {
    kind: "mqtt",
    topic: TOPIC,
    key: { path: "key" },
    qos,
    timestamp: { path: "ts", unit: "ms" },
    fields,
  };
  const agent = {
    sources: [source],
    model: model.name,
    rules: [{ id: "anomalous", when: `answer.${model.output} > ${model.threshold}` }],
    record: { quiet: "all" },
  };
  return {
    schemaVersion: 1,
    device: { name: "bench" },
    bus: { kind: "external", url: `mqtt://127.0.0.1:${port}` },
    store: { commitDelayMs, maxBytes: 8 * 1024 ** 3 },
    agents: { bench: setup.acts ? { ...agent, ...acting(model) } : agent },
    models: { [model.name]: { directory: model.folder } },
    ...(setup.acts ? permitted() : {}),
  };
}

/** Of each key the first field goes up and down, so that with each message one of the rules fires. */
function acting({ features, output, threshold }: BenchModel): Record<string, unknown> {
  const first = `event.fields.${features[0]?.name}`;
  const rule = (id: string, when: string) => ({
    id,
    when: `answer.${output} < ${threshold} && ${when}`,
    do: [{ tool: id, arguments: { valve: "event.key", n: "event.time" } }],
  });
  return { priority: "action", rules: [rule("open", `${first} >= ${HIGH}`), rule("close", `${first} < ${HIGH}`)] };
}

const PLENTY = 100_000_000;

/** A policy of several rules, tools with limits that are never reached, and readbacks. */
function permitted(): Record<string, unknown> {
  const valve = (open: boolean) => ({
    kind: "mqtt",
    topic: "bench/{valve}/command",
    payload: { n: "{n}", open },
    class: "reversible",
    executeWithinSeconds: 120,
    limits: { perMinute: PLENTY, perTargetPerHour: PLENTY },
    verify: { topic: "bench/{valve}/state", when: `payload.open == ${open}`, withinSeconds: 30 },
  });
  return {
    mode: "auto",
    limits: { effectsPerMinute: PLENTY },
    tools: { open: valve(true), close: valve(false) },
    policy: [
      { id: "valves", effect: "permit", tools: ["open", "close"], when: "event.key.startsWith('pump-')" },
      { id: "in-repair", effect: "forbid", when: "event.key == 'pump-99' || action.target.endsWith('/none')" },
      { id: "no-opening-of-old", effect: "forbid", tools: ["open"], when: "now - event.time > 86400000.0" },
      { id: "odd-numbers", effect: "forbid", when: "arguments.n <= 0.0" },
      { id: "critical-asks", effect: "requireApproval", when: "action.class == 'critical'" },
    ],
  };
}
