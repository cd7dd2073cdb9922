import { nearest } from "../config/nearest.ts";
import type { Answer, InputRow } from "../models/inference.ts";

export type ValueType = "number" | "boolean" | "text" | "numbers" | "any";

/** One named value of a row or an answer, with what is known of it. */
export interface Declared {
  readonly name: string;
  readonly type: ValueType;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** Elements, where the type is `numbers`. */
  readonly width?: number | undefined;
  /** Texts it can be. */
  readonly values?: readonly string[] | undefined;
  /** It may be missing; expressions have to ask with has(). */
  readonly optional?: boolean | undefined;
}

/** Everything an expression may name. Fields and features stand in the order of their rows. */
export interface Declarations {
  readonly fields: readonly Declared[];
  readonly features: readonly Declared[];
  readonly answer: readonly Declared[];
  /** Questions whose answers it may see. */
  readonly queries?: readonly string[];
  readonly windowed: boolean;
  readonly device: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  /** Only where a message is judged: readbacks and interlocks. */
  readonly payload?: boolean;
  /** Names in place of all of the above, with moments over which an expression is tried. */
  readonly own?: { readonly leaves: readonly Leaf[]; readonly moments: readonly Moment[] };
}

/** What of a pass expressions can see. */
export interface PassValues {
  readonly key: string;
  readonly eventId: string | undefined;
  readonly eventTimeMs: number;
  readonly fields: InputRow | undefined;
  readonly row: InputRow;
  readonly coverage: number;
  readonly windowCount: number;
  /** Answers by the names of the questions; what was not answered in time is not there. */
  readonly queries?: Readonly<Record<string, unknown>> | undefined;
}

/** What of its own past a rule can see. */
export interface StateValues {
  readonly sinceLastFiredSeconds: number;
  readonly firing: boolean;
  readonly passes: number;
}

/** `state.sinceLastFired` of a rule that never fired: some thirty years. */
export const NEVER_FIRED_SECONDS = 1e9;

export interface Moment {
  pass: PassValues;
  answer: Answer | undefined;
  state: StateValues;
  nowMs: number;
  payload: unknown;
}

/** A value at the end of a path, and where it comes from. */
export interface Leaf extends Declared {
  readonly path: string;
  readonly root: string;
  /** Any name below it is a value, which is there or not when it is read. */
  readonly below?: (name: string) => Leaf;
  /** One value, with nothing below. */
  readonly isSingle?: boolean;
  read(moment: Moment): unknown;
}

export interface NameNode {
  readonly leaf: Leaf | undefined;
  readonly below: Map<string, NameNode>;
}

type Reading = Leaf["read"];

export function leavesOf(declarations: Declarations): readonly Leaf[] {
  if (declarations.own !== undefined) return declarations.own.leaves;
  const { fields, features, answer, queries, device, windowed, payload } = declarations;
  const leaf = (prefix: string, declared: Declared, read: Reading): Leaf => ({
    ...declared,
    path: prefix === "" ? declared.name : `${prefix}.${declared.name}`,
    root: prefix === "" ? declared.name : (prefix.split(".")[0] as string),
    read,
  });
  const number = (name: string, min?: number, max?: number): Declared => ({ name, type: "number", min, max });
  const text = (name: string, values?: readonly string[]): Declared => ({ name, type: "text", values });
  const windowLeaves = [
    leaf("window", number("coverage", 0, 1), ({ pass }) => pass.coverage),
    leaf("window", number("count", 1, 100_000), ({ pass }) => pass.windowCount),
  ];
  return [
    leaf("event", text("key"), ({ pass }) => pass.key),
    leaf("event", { ...text("id"), optional: true }, ({ pass }) => pass.eventId),
    leaf("event", number("time", 1e12, 2e12), ({ pass }) => pass.eventTimeMs),
    ...fields.map((field, at) => leaf("event.fields", field, ({ pass }) => pass.fields?.[at])),
    ...features.map((feature, at) => leaf("features", feature, ({ pass }) => pass.row[at])),
    ...answer.map((output) => leaf("answer", output, ({ answer: given }) => given?.[output.name])),
    ...(queries ?? []).map((name) =>
      leaf("query", { name, type: "any", optional: true }, ({ pass }) => answered(pass.queries, name)),
    ),
    leaf("state", number("sinceLastFired", 0, NEVER_FIRED_SECONDS), ({ state }) => state.sinceLastFiredSeconds),
    leaf("state", { name: "firing", type: "boolean" }, ({ state }) => state.firing),
    leaf("state", number("passes", 0, 1e6), ({ state }) => state.passes),
    leaf("device", text("name", [device.name]), () => device.name),
    ...Object.entries(device.labels).map(([name, value]) => leaf("device.labels", text(name, [value]), () => value)),
    ...(windowed ? windowLeaves : []),
    leaf("", number("now", 1e12, 2e12), ({ nowMs }) => nowMs),
    ...(payload === true ? [leaf("", { name: "payload", type: "any" }, (moment) => moment.payload)] : []),
  ];
}

function answered(queries: PassValues["queries"], name: string): unknown {
  return queries !== undefined && Object.hasOwn(queries, name) ? queries[name] : undefined;
}

/** The node below, made when it is first asked for where any name is one. */
export function below(node: NameNode, name: string): NameNode | undefined {
  const known = node.below.get(name);
  if (known !== undefined || node.leaf?.below === undefined) return known;
  const made: NameNode = { leaf: node.leaf.below(name), below: new Map() };
  node.below.set(name, made);
  return made;
}

/** The leaves as a tree of names, so that a wrong level can be told from a right one. */
export function namesOf(leaves: readonly Leaf[]): NameNode {
  const top: NameNode = { leaf: undefined, below: new Map() };
  for (const leaf of leaves) {
    // Names of labels may have dots; they are reached by device.labels["a.b"].
    const prefix = leaf.path.slice(0, leaf.path.length - leaf.name.length);
    let node = top;
    for (const name of prefix.split(".").filter((part) => part !== "")) node = branch(node, name);
    node.below.set(leaf.name, { leaf, below: new Map() });
  }
  return top;
}

function branch(node: NameNode, name: string): NameNode {
  const known = node.below.get(name);
  if (known !== undefined) return known;
  const made: NameNode = { leaf: undefined, below: new Map() };
  node.below.set(name, made);
  return made;
}

const MOST_LISTED = 24;

/** What may have been meant: a close name here, the same name elsewhere, or all that are known here. */
export function hintFor(name: string, node: NameNode, leaves: readonly Leaf[]): string | undefined {
  const known = [...node.below.keys()];
  const elsewhere = leaves.find((leaf) => leaf.name === name);
  if (elsewhere !== undefined) return `Did you mean "${elsewhere.path}"?`;
  const close = nearest(name, known);
  if (close !== undefined) return `Did you mean "${close}"?`;
  const closeElsewhere = nearest(
    name,
    leaves.map((leaf) => leaf.name),
  );
  const meant = leaves.find((leaf) => leaf.name === closeElsewhere);
  if (meant !== undefined) return `Did you mean "${meant.path}"?`;
  return known.length > 0 && known.length <= MOST_LISTED ? `Known here: ${known.join(", ")}.` : undefined;
}
