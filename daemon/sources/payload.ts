import { isUtf8 } from "node:buffer";
import type { FieldConfig, MqttSourceConfig } from "../../config/agents.ts";
import { csvCells } from "./csv-line.ts";
import { SourceError } from "./errors.ts";
import { compileField, type Field, type FieldValue, refusal, valueOfText } from "./field-values.ts";
import { type JsonObject, readJsonObject } from "./json-text.ts";
import { isPlain } from "./plain-text.ts";
import { type Invalid, type InvalidReason, invalid, invalidReasons } from "./reasons.ts";
import { timeMs, timeMsOfText } from "./timestamps.ts";

export const MAX_KEY_CHARS = 256;
const MAX_EVENT_ID_CHARS = 128;

/** What a message says. `values` in the order of the agent's fields, undefined where this one has none. */
export interface ParsedEvent {
  readonly ok: true;
  readonly key: string;
  readonly eventId: string | undefined;
  /** The event's own time; undefined where it has none, and its arrival counts. */
  readonly timeMs: number | undefined;
  readonly values: readonly (FieldValue | undefined)[];
}

export type Parsed = ParsedEvent | Invalid;

/** `topicKey`: the key that the topic gives; undefined when it gives none that may be one. Never throws. */
export type ParsePayload = (payload: Buffer, topicKey: string | undefined) => Parsed;

export interface PayloadSpec {
  readonly source: Pick<MqttSourceConfig, "format" | "key" | "separator" | "header" | "timestamp" | "fields">;
  /** All fields of the agent, in the order of its rows. */
  readonly fields: readonly string[];
  /** Where the event's id stands in a JSON payload, or the name of its column. Messages without one have no id. */
  readonly eventIdPath: string | undefined;
  readonly maxBytes: number;
}

const refusals = Object.fromEntries(
  (Object.keys(invalidReasons) as InvalidReason[]).map((reason) => [reason, invalid(reason)]),
) as Record<InvalidReason, Invalid>;

/** Compiled once for each source; throws a `SourceError` for what no message could ever satisfy. */
export function compileSource(spec: PayloadSpec): ParsePayload {
  const parse = formats[spec.source.format](spec);
  const { maxBytes } = spec;
  return (payload, topicKey) => {
    if (payload.length > maxBytes) return refusals.tooLarge;
    if (payload.length === 0) return refusals.empty;
    return parse(payload, topicKey);
  };
}

const formats = { json: compileJson, csv: compileCsv, scalar: compileScalar } as const;

function compileJson(spec: PayloadSpec): ParsePayload {
  const { source, fields: agentFields } = spec;
  const fields = compileFields(spec, (name, config) => new Path(config.path ?? name));
  const rowOf = isDense(fields, agentFields.length) ? denseRow : sparseRow(agentFields.length);
  const keyPath = typeof source.key === "object" ? new Path(source.key.path) : undefined;
  const idPath = spec.eventIdPath === undefined ? undefined : new Path(spec.eventIdPath);
  const unit = source.timestamp?.unit ?? "ms";
  const timePath = source.timestamp === undefined ? undefined : new Path(timestampPath(spec));
  return (payload, topicKey) => {
    const root = readJsonObject(payload);
    if (typeof root === "string") return refusals[root];
    const key = keyPath === undefined ? topicKey : keyText(keyPath.in(root), MAX_KEY_CHARS);
    if (key === undefined)
      return keyPath === undefined || isThere(keyPath.in(root)) ? refusals.badKey : refusals.missingKey;
    const eventId = idPath === undefined ? undefined : keyText(idPath.in(root), MAX_EVENT_ID_CHARS);
    if (idPath !== undefined && eventId === undefined && isThere(idPath.in(root))) return refusals.badEventId;
    let time: number | undefined;
    if (timePath !== undefined) {
      const value = timePath.in(root);
      if (!isThere(value)) return refusals.missingTimestamp;
      time = timeMs(unit, value);
      if (Number.isNaN(time)) return refusals.badTimestamp;
    }
    const values = rowOf(fields, root);
    return Array.isArray(values) ? { ok: true, key, eventId, timeMs: time, values } : (values as Invalid);
  };
}

type JsonFields = readonly Bound<Path>[];
type Row = readonly (FieldValue | undefined)[];

/** Whether this source alone fills the agent's rows, from the first field to the last. */
function isDense(fields: JsonFields, width: number): boolean {
  return fields.length === width && fields.every(({ field }, at) => field.at === at);
}

/** Values are appended: a row of numbers alone stays an array of unboxed ones. */
function denseRow(fields: JsonFields, root: JsonObject): Row | Invalid {
  const values: (FieldValue | undefined)[] = [];
  for (let at = 0; at < fields.length; at += 1) {
    const { field, from } = fields[at] as Bound<Path>;
    const value = from.in(root);
    if (value === undefined || value === null) {
      if (field.missing !== undefined) return field.missing;
      values.push(undefined);
      continue;
    }
    const refused = refusal(field, value);
    if (refused !== undefined) return refused;
    values.push(value as FieldValue);
  }
  return values;
}

function sparseRow(width: number): typeof denseRow {
  const blank: undefined[] = new Array(width).fill(undefined);
  return (fields, root) => {
    const values: (FieldValue | undefined)[] = blank.slice();
    for (const { field, from } of fields) {
      const value = from.in(root);
      if (value === undefined || value === null) {
        if (field.missing !== undefined) return field.missing;
        continue;
      }
      const refused = refusal(field, value);
      if (refused !== undefined) return refused;
      values[field.at] = value as FieldValue;
    }
    return values;
  };
}

function compileCsv(spec: PayloadSpec): ParsePayload {
  const { source } = spec;
  const fields = compileFields(spec, (name, config) => column(source.header, config.column ?? config.path ?? name));
  const width = spec.fields.length;
  const keyColumn = typeof source.key === "object" ? column(source.header, source.key.path) : undefined;
  const idColumn = spec.eventIdPath === undefined ? undefined : source.header?.indexOf(spec.eventIdPath);
  const time = source.timestamp;
  const timeColumn = time === undefined ? undefined : column(source.header, time.column ?? timestampPath(spec));
  return (payload, topicKey) => {
    if (!isUtf8(payload)) return refusals.notUtf8;
    const cells = csvCells(payload.toString("utf8"), source.separator);
    if (cells === undefined || (source.header !== undefined && cells.length !== source.header.length))
      return refusals.badCsv;
    const key = keyColumn === undefined ? topicKey : keyText(cell(cells, keyColumn), MAX_KEY_CHARS);
    if (key === undefined)
      return keyColumn !== undefined && cell(cells, keyColumn) === undefined ? refusals.missingKey : refusals.badKey;
    const idCell = idColumn === undefined ? undefined : cell(cells, idColumn);
    const eventId = keyText(idCell, MAX_EVENT_ID_CHARS);
    if (idCell !== undefined && eventId === undefined) return refusals.badEventId;
    const timeCell = timeColumn === undefined ? undefined : cell(cells, timeColumn);
    if (timeColumn !== undefined && timeCell === undefined) return refusals.missingTimestamp;
    const at = time === undefined || timeCell === undefined ? undefined : timeMsOfText(time.unit, timeCell);
    if (Number.isNaN(at)) return refusals.badTimestamp;
    const values: (FieldValue | undefined)[] = new Array(width).fill(undefined);
    for (const { field, from } of fields) {
      const refused = put(values, field, cell(cells, from));
      if (refused !== undefined) return refused;
    }
    return { ok: true, key, eventId, timeMs: at, values };
  };
}

function compileScalar(spec: PayloadSpec): ParsePayload {
  const { source } = spec;
  const [only, ...others] = compileFields(spec, () => undefined);
  if (only === undefined || others.length > 0) {
    throw new SourceError(
      "SOURCE_FORMAT",
      { fields: Object.keys(source.fields) },
      { hint: "A scalar payload is one value: name one field, or use json or csv." },
    );
  }
  if (typeof source.key === "object" || source.timestamp !== undefined) {
    throw new SourceError(
      "SOURCE_FORMAT",
      {},
      { hint: "A scalar payload has neither a key nor a time of its own: take the key from the topic, or use json." },
    );
  }
  const width = spec.fields.length;
  return (payload, topicKey) => {
    if (!isUtf8(payload)) return refusals.notUtf8;
    if (topicKey === undefined) return refusals.badKey;
    const text = payload.toString("utf8");
    const values: (FieldValue | undefined)[] = new Array(width).fill(undefined);
    const refused = put(values, only.field, text.trim() === "" ? undefined : text.trim());
    return refused ?? { ok: true, key: topicKey, eventId: undefined, timeMs: undefined, values };
  };
}

/** Puts what a text says where the field belongs; returns why it can't. */
function put(values: (FieldValue | undefined)[], field: Field, text: string | undefined): Invalid | undefined {
  if (text === undefined) return field.missing;
  const value = valueOfText(field, text);
  if (typeof value === "object") return value;
  values[field.at] = value;
  return undefined;
}

interface Bound<From> {
  readonly field: Field;
  readonly from: From;
}

function compileFields<From>(spec: PayloadSpec, from: (name: string, config: FieldConfig) => From): Bound<From>[] {
  return Object.entries(spec.source.fields).map(([name, config]) => ({
    field: compileField(name, config, spec.fields.indexOf(name)),
    from: from(name, config),
  }));
}

function timestampPath(spec: PayloadSpec): string {
  const path = spec.source.timestamp?.path;
  if (path !== undefined) return path;
  throw new SourceError(
    "SOURCE_FORMAT",
    { timestamp: spec.source.timestamp },
    { hint: "Say where the time stands: `path` in a JSON payload, `column` in a CSV one." },
  );
}

function column(header: readonly string[] | undefined, wanted: string | number): number {
  if (typeof wanted === "number") return wanted;
  const at = header?.indexOf(wanted) ?? -1;
  if (at >= 0) return at;
  const hint =
    header === undefined
      ? "Give the columns' names as `header`, or the column's number from 0."
      : `The header has: ${header.join(", ")}.`;
  throw new SourceError("SOURCE_COLUMN", { column: wanted }, { hint });
}

/** A cell without the blanks around it; undefined where there is nothing in it. */
function cell(cells: readonly string[], at: number): string | undefined {
  const text = cells[at]?.trim();
  return text === "" ? undefined : text;
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** The text of a key or id: plain text or a whole number; undefined for everything else. */
function keyText(value: unknown, maxChars: number): string | undefined {
  if (typeof value === "string") return isPlain(value, maxChars) ? value : undefined;
  return typeof value === "number" && Number.isSafeInteger(value) ? String(value) : undefined;
}

/** A place in a JSON payload. Only what the payload itself has is found, never what objects inherit. */
class Path {
  readonly #first: string;
  readonly #rest: readonly string[];
  /** Names that every object inherits: only for them own and inherited must be told apart. */
  readonly #isInherited: boolean;

  constructor(path: string) {
    const [first = "", ...rest] = path.split(".");
    this.#first = first;
    this.#rest = rest;
    this.#isInherited = path.split(".").some((name) => name in Object.prototype || name in Array.prototype);
  }

  in(root: JsonObject): unknown {
    if (this.#isInherited) return this.#own(root);
    let value = root[this.#first];
    if (this.#rest.length === 0) return value;
    for (const name of this.#rest) {
      if (typeof value !== "object" || value === null) return undefined;
      value = (value as JsonObject)[name];
    }
    return value;
  }

  #own(root: JsonObject): unknown {
    let value: unknown = root;
    for (const name of [this.#first, ...this.#rest]) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
      value = (value as JsonObject)[name];
    }
    return value;
  }
}
