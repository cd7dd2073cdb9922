import type { AgentConfig, Priority, SourceConfig } from "../config/agents.ts";
import { type FeatureCall, parseFeature } from "../config/feature-syntax.ts";
import { type VitalName, vitalFields, vitalNames } from "./sources/vitals-parse.ts";

/** A field of an agent: its place in the row of values, and what is known of it. */
export interface PlannedField {
  readonly name: string;
  readonly source: number;
  readonly type: "number" | "integer" | "boolean" | "string";
  readonly unit: string | undefined;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly missing: "reject" | "last" | "null";
  readonly maxAgeMs: number | undefined;
  readonly isPrivate: boolean;
}

export interface PlannedFeature {
  readonly name: string;
  readonly call: FeatureCall;
}

/** An agent's configuration as the loop needs it: names become places, seconds become milliseconds. */
export interface AgentPlan {
  readonly name: string;
  readonly config: AgentConfig;
  readonly priority: 0 | 1 | 2 | 3;
  readonly fields: readonly PlannedField[];
  readonly features: readonly PlannedFeature[] | undefined;
  /** Names and units of the row that a pass gives to the model: features, or fields where there are none. */
  readonly inputs: readonly { readonly name: string; readonly unit: string | undefined }[];
  readonly opensOnEvent: boolean;
  readonly everyMs: number | undefined;
  readonly journaled: boolean;
}

const PRIORITY_NUMBERS: Readonly<Record<Priority, 0 | 1 | 2 | 3>> = { safety: 0, action: 1, monitor: 2, background: 3 };

/** The unit of a feature: that of its field, or what the function makes of it. */
export type UnitOf = (call: FeatureCall, unit: string | undefined) => string | undefined;

export function planAgent(name: string, config: AgentConfig, unitOf: UnitOf): AgentPlan {
  const fields = config.sources.flatMap((source, index) => sourceFields(source, index));
  const units = new Map(fields.map((field) => [field.name, field.unit]));
  const features = config.features === undefined ? undefined : plannedFeatures(config.features);
  const everySeconds = "everySeconds" in config.open ? config.open.everySeconds : undefined;
  const priority = PRIORITY_NUMBERS[config.priority];
  const durability = config.window?.durability ?? (priority <= 1 ? "journal" : "checkpoint");
  return {
    name,
    config,
    priority,
    fields,
    features,
    inputs:
      features?.map((one) => ({ name: one.name, unit: unitOf(one.call, units.get(one.call.field)) })) ??
      fields.map(({ name: field, unit }) => ({ name: field, unit })),
    opensOnEvent: everySeconds === undefined,
    everyMs: everySeconds === undefined ? undefined : everySeconds * 1000,
    journaled: config.window !== undefined && durability === "journal",
  };
}

function plannedFeatures(features: Readonly<Record<string, string>>): PlannedFeature[] {
  return Object.entries(features).flatMap(([name, text]) => {
    const parsed = parseFeature(text);
    return parsed.ok ? [{ name, call: parsed.call }] : [];
  });
}

function sourceFields(source: SourceConfig, index: number): PlannedField[] {
  if (source.kind === "schedule") return [];
  if (source.kind === "vitals") return vitalsOf(source.fields).map((name) => vitalField(name, index));
  return Object.entries(source.fields).map(([name, field]) => ({
    name,
    source: index,
    type: field.type,
    unit: field.unit,
    min: field.min,
    max: field.max,
    missing: field.missing,
    maxAgeMs: field.maxAgeSeconds === undefined ? undefined : field.maxAgeSeconds * 1000,
    isPrivate: field.private,
  }));
}

/** The vitals of a source in order. Unknown names are told by the check, not here. */
export function vitalsOf(names: readonly string[] | undefined): readonly VitalName[] {
  return names === undefined ? vitalNames : (names.filter((name) => name in vitalFields) as VitalName[]);
}

/** Names of questions that a private field goes into: what is answered is private too. Rather one too many. */
export function privateQueries({ config, fields }: AgentPlan): string[] {
  const hidden = fields.flatMap(({ name, isPrivate }) => (isPrivate ? [new RegExp(`\\b${name}\\b`)] : []));
  return Object.entries(config.queries ?? {}).flatMap(([name, query]) => {
    const texts = Object.values(query.arguments).map(String);
    return texts.some((text) => hidden.some((pattern) => pattern.test(text))) ? [name] : [];
  });
}

/** A vital that this machine does not have now keeps its last value for a while. */
const VITAL_MAX_AGE_MS = 60_000;

function vitalField(name: VitalName, source: number): PlannedField {
  const { unit, min, max } = vitalFields[name];
  return {
    name,
    source,
    type: "number",
    unit,
    min: min ?? undefined,
    max: max ?? undefined,
    missing: "last",
    maxAgeMs: VITAL_MAX_AGE_MS,
    isPrivate: false,
  };
}
