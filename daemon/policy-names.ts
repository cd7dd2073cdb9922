import type { ToolConfig } from "../config/tools.ts";
import type { Arguments } from "./act/tool.ts";
import type { Declarations, Declared, Leaf, Moment, ValueType } from "./expression-names.ts";
import type { JudgedAction, PolicyContext } from "./guard.ts";
import { syntheticMoments } from "./synthetic.ts";

export interface PolicyDevice {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What conditions of a policy are evaluated over. */
export interface PolicySubject {
  readonly action: JudgedAction;
  readonly context: PolicyContext;
}

type Values = Readonly<Record<string, unknown>>;

/** The names that conditions of a policy may use: those of rules, without a rule's own past, and the action's. */
export function policyDeclarations(device: PolicyDevice, tools: Readonly<Record<string, ToolConfig>>): Declarations {
  const none = { fields: [], features: [], answer: [], windowed: false, device };
  return { ...none, own: { leaves: leavesOf(device), moments: momentsOf(none, tools) } };
}

function leavesOf(device: PolicyDevice): Leaf[] {
  const known = (path: string, type: ValueType, read: (subject: PolicySubject) => unknown): Leaf => ({
    ...named(path, type),
    read: ({ payload }) => read(payload as PolicySubject),
  });
  const label = (name: string, value: string): Leaf => ({
    ...named(`device.labels.${name}`, "text"),
    name,
    read: () => value,
  });
  return [
    known("event.key", "text", ({ context }) => context.key),
    { ...known("event.id", "text", ({ context }) => context.eventId), optional: true },
    known("event.time", "number", ({ context }) => context.timeMs),
    open("event.fields", ({ context }) => context.fields),
    open("features", ({ context }) => context.features),
    open("answer", ({ context }) => context.answer),
    open("arguments", ({ action }) => action.arguments),
    known("action.tool", "text", ({ action }) => action.tool),
    known("action.class", "text", ({ action }) => action.class),
    known("action.target", "text", ({ action }) => action.target),
    known("action.agent", "text", ({ action }) => action.agent),
    known("action.rule", "text", ({ action }) => action.rule),
    known("action.by", "text", ({ action }) => action.by),
    known("action.safeDirection", "boolean", ({ action }) => action.safeDirection),
    known("action.idempotent", "boolean", ({ action }) => action.idempotent),
    { ...named("device.name", "text"), read: () => device.name },
    ...Object.entries(device.labels).map(([name, value]) => label(name, value)),
    { ...named("now", "number"), read: ({ nowMs }) => nowMs },
  ];
}

function named(path: string, type: ValueType): Declared & Pick<Leaf, "path" | "root"> {
  const levels = path.split(".");
  return { name: levels.at(-1) as string, type, path, root: levels[0] as string };
}

/** Values whose names differ by agent and tool. What is not there can not be read, and `has` says so. */
function open(path: string, read: (subject: PolicySubject) => Values | Arguments): Leaf {
  const valuesOf = ({ payload }: Moment): Values => read(payload as PolicySubject);
  return {
    ...named(path, "any"),
    read: (moment) => withoutHoles(valuesOf(moment)),
    below: (name) => ({
      ...named(path, "any"),
      name,
      path: `${path}.${name}`,
      isSingle: true,
      read: (moment) => {
        const values = valuesOf(moment);
        return Object.hasOwn(values, name) ? (values[name] ?? undefined) : undefined;
      },
    }),
  };
}

function withoutHoles(values: Values): Values {
  const isHole = (value: unknown): boolean => value === undefined || value === null;
  return Object.values(values).some(isHole)
    ? Object.fromEntries(Object.entries(values).filter(([, value]) => !isHole(value)))
    : values;
}

/** Made-up actions of each kind of proposer, over the tools that there are. */
function momentsOf(declarations: Declarations, tools: Readonly<Record<string, ToolConfig>>): Moment[] {
  const known = Object.entries(tools);
  return syntheticMoments(declarations).map((moment, at) => {
    const [tool, config] = known[at % Math.max(1, known.length)] ?? ["tool", undefined];
    const isPerson = at % 3 === 2;
    const action: JudgedAction = {
      tool,
      class: config?.class ?? "consequential",
      target: moment.pass.key,
      arguments: {},
      safeDirection: config?.safeDirection ?? at % 2 === 0,
      idempotent: config?.idempotent ?? at % 2 === 1,
      agent: isPerson ? "" : "agent",
      rule: isPerson ? "" : "rule",
      by: isPerson ? "person" : "",
    };
    const { key, eventId, eventTimeMs: timeMs } = moment.pass;
    return { ...moment, payload: { action, context: { key, eventId, timeMs, fields: {}, features: {}, answer: {} } } };
  });
}
