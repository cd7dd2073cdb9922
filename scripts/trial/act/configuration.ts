import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fixtureModel } from "../fixtures.ts";

/** What the daemon may do in this trial, and by which the oracles judge. Seconds, as in the configuration. */
export const RULES = {
  limited: { perMinute: 60, perTargetPerHour: 8, minimumSeconds: 1.5 },
  turn: { group: "line", holdSeconds: 0.6 },
  guarded: { maxAgeSeconds: 1, mostBar: 6 },
} as const;

/** Tools whose effects may come twice. */
export const IDEMPOTENT = new Set(["set", "put", "vent"]);
/** Tools of which nothing may ever come. */
export const NEVER = new Set(["forbidden", "unpermitted", "asking"]);
/** Tools that tell people something: the latch, modes and switches of effects leave them alone. */
export const NOTIFY = new Set(["tell"]);
/** Tools whose readback is on a topic for that action alone, and those whose readback is the target's state. */
export const READ_BACK = new Set(["set", "pulse", "vent", "turn"]);
/** A program that was started in time may act so much later: it has to be loaded first. */
export const PROGRAM_START_MS = 1500;

export interface Places {
  readonly folder: string;
  readonly brokerPort: number;
  readonly ledgerPort: number;
  /** One agent asks a model, so that there is a host. */
  readonly hasModel: boolean;
}

/** How long an action of a tool may take until it is done, in seconds; other tools: two. */
const EXECUTE_WITHIN: Readonly<Record<string, number>> = { set: 20, post: 3, put: 3, tell: 3, press: 3 };
const EXECUTE_WITHIN_USUAL = 2;

export function executeWithinMs(tool: string): number {
  return (EXECUTE_WITHIN[tool] ?? EXECUTE_WITHIN_USUAL) * 1000;
}

const BREAKER = { failures: 1_000_000, openSeconds: 1 };

/** Writes the daemon's configuration, and the program that it may run. Returns its path. */
export function writeConfiguration({ folder, brokerPort, ledgerPort, hasModel }: Places): string {
  const program = join(folder, "press.sh");
  // One write to a file that is open for appending; the time is that of the boot clock.
  writeFileSync(program, `#!/bin/sh\nread -r up rest < /proc/uptime\necho "$up $1 $2" >> ${programLedger(folder)}\n`);
  chmodSync(program, 0o755);
  const config = join(folder, "holdfast.yaml");
  const hook = (path: string): object => ({ url: `http://127.0.0.1:${ledgerPort}/${path}`, privateAddress: true });
  writeFileSync(
    config,
    JSON.stringify({
      schemaVersion: 1,
      mode: "auto",
      bus: { kind: "external", url: `mqtt://127.0.0.1:${brokerPort}` },
      store: { ballastBytes: 1_048_576, commitDelayMs: 5 },
      limits: { effectsPerMinute: 1_000_000 },
      programs: { press: { path: program, arguments: ["{key}", "{token}"] } },
      endpoints: { post: hook("post"), put: hook("put"), tell: hook("tell") },
      ...(hasModel ? { models: { linear: { directory: fixtureModel("linear") } } } : {}),
      agents: { ...agents(), ...(hasModel ? { judging: judging() } : {}) },
      tools: tools(),
      policy: [
        { id: "all", effect: "permit", tools: ALL_PERMITTED },
        { id: "no", effect: "forbid", tools: ["forbidden"] },
        { id: "yes", effect: "permit", tools: ["forbidden"] },
        { id: "ask", effect: "requireApproval", tools: ["asking"] },
      ],
    }),
  );
  return config;
}

export function programLedger(folder: string): string {
  return join(folder, "press.log");
}

const ALL_PERMITTED = ["set", "pulse", "count", "vent", "post", "put", "press", "limited", "turn", "guarded"];

function agents(): object {
  return {
    busy: agent("busy", ["set", "pulse", "count"]),
    web: agent("web", ["post", "put", "tell"]),
    local: agent("local", ["press", "say", "vent"]),
    tight: agent("tight", ["limited", "turn", "guarded"]),
    never: agent("never", ["forbidden", "unpermitted", "asking"]),
  };
}

/** Two rules that take turns: each message of a key fires one of them. */
function agent(name: string, used: readonly string[]): object {
  const actions = used.map((tool) => ({ tool, arguments: argumentsOf(tool) }));
  return {
    priority: "action",
    sources: [{ kind: "mqtt", topic: `sensor/${name}/{key}`, key: "key", fields: { v: { min: 0, max: 1 } } }],
    event: { id: { path: "id" } },
    rules: [
      { id: "up", when: "event.fields.v > 0.5", do: actions },
      { id: "down", when: "event.fields.v <= 0.5", do: actions },
    ],
    record: { quiet: "all" },
  };
}

/** Its host dies now and then: what it does then is its fallback. */
function judging(): object {
  const range = { min: -1000, max: 1000 };
  const { sources, rules, ...rest } = agent("judging", ["count", "set"]) as { sources: object[]; rules: object[] };
  const up = { ...rules[0], when: "answer.score > -1000000.0 && event.fields.a > 0.5" };
  const down = { ...rules[1], when: "answer.score > -1000000.0 && event.fields.a <= 0.5" };
  return {
    ...rest,
    sources: sources.map((source) => ({
      ...source,
      fields: { a: { ...range, path: "v" }, b: { ...range, path: "v" } },
    })),
    model: "linear",
    deadlineSeconds: 1,
    rules: [up, down],
    fallback: { do: [{ tool: "tell", arguments: argumentsOf("tell") }] },
  };
}

function argumentsOf(tool: string): object {
  if (tool === "say") return { text: "'about ' + event.key" };
  return { key: "event.key", token: "has(event.id) ? event.id : 'none'" };
}

function tools(): object {
  const mqtt = (name: string, more: object): object => ({
    kind: "mqtt",
    topic: `do/${name}/{key}`,
    payload: { token: "{token}" },
    class: "reversible",
    timeoutSeconds: 2,
    executeWithinSeconds: executeWithinMs(name) / 1000,
    approveWithinSeconds: 2,
    breaker: BREAKER,
    ...more,
  });
  const readback = (name: string): object => ({
    verify: { topic: `is/${name}/{key}/{token}`, when: "payload.done == true", withinSeconds: 0.7 },
  });
  const web = (name: string, more: object): object => ({
    kind: "webhook",
    endpoint: name,
    body: { key: "{key}", token: "{token}" },
    timeoutSeconds: 0.6,
    executeWithinSeconds: executeWithinMs(name) / 1000,
    approveWithinSeconds: 2,
    breaker: BREAKER,
    ...more,
  });
  const { limited, turn, guarded } = RULES;
  return {
    set: mqtt("set", { idempotent: true, ...readback("set") }),
    pulse: mqtt("pulse", readback("pulse")),
    count: mqtt("count", {}),
    vent: mqtt("vent", { idempotent: true, safeDirection: true, ...readback("vent") }),
    post: web("post", {}),
    put: web("put", { idempotent: true, method: "PUT" }),
    tell: { ...web("tell", {}), kind: "notify", via: "webhook", class: "notify", body: undefined },
    say: { kind: "notify", via: "log" },
    press: {
      kind: "command",
      program: "press",
      timeoutSeconds: 2,
      executeWithinSeconds: 3,
      approveWithinSeconds: 2,
      breaker: BREAKER,
    },
    limited: mqtt("limited", {
      limits: {
        perMinute: limited.perMinute,
        perTargetPerHour: limited.perTargetPerHour,
        minimumSecondsBetween: limited.minimumSeconds,
      },
    }),
    turn: mqtt("turn", {
      ...readback("turn"),
      interlocks: { exclusive: { group: turn.group, holdSeconds: turn.holdSeconds } },
    }),
    guarded: mqtt("guarded", {
      interlocks: {
        requires: [
          { topic: "pressure/{key}", when: `payload.bar < ${guarded.mostBar}.0`, maxAgeSeconds: guarded.maxAgeSeconds },
        ],
      },
    }),
    forbidden: mqtt("forbidden", {}),
    unpermitted: mqtt("unpermitted", {}),
    asking: mqtt("asking", {}),
  };
}
