import type { FieldConfig } from "../../config/agents.ts";
import { decimal } from "./plain-text.ts";
import { type Invalid, invalid } from "./reasons.ts";

export type FieldValue = number | string | boolean;

const MAX_TEXT_CHARS = 1024;

/** One configured field, with its refusals ready. */
export interface Field {
  readonly type: FieldConfig["type"];
  readonly min: number;
  readonly max: number;
  /** Where the value goes in the agent's rows. */
  readonly at: number;
  /** The refusal of an event without this field; undefined where it may be absent. */
  readonly missing: Invalid | undefined;
  readonly wrongType: Invalid;
  readonly notFinite: Invalid;
  readonly outOfRange: Invalid;
  readonly tooLong: Invalid;
}

export function compileField(name: string, config: FieldConfig, at: number): Field {
  return {
    type: config.type,
    min: config.min ?? Number.NEGATIVE_INFINITY,
    max: config.max ?? Number.POSITIVE_INFINITY,
    at,
    missing: config.missing === "reject" ? invalid("missingField", name) : undefined,
    wrongType: invalid("wrongType", name),
    notFinite: invalid("notFinite", name),
    outOfRange: invalid("outOfRange", name),
    tooLong: invalid("tooLong", name),
  };
}

/** Why a value of a JSON payload is not one of this field; undefined when it is. */
export function refusal(field: Field, value: unknown): Invalid | undefined {
  if (typeof value === "number") {
    if (field.type !== "number" && field.type !== "integer") return field.wrongType;
    if (!Number.isFinite(value)) return field.notFinite;
    if (field.type === "integer" && !Number.isSafeInteger(value)) return field.wrongType;
    return value < field.min || value > field.max ? field.outOfRange : undefined;
  }
  if (typeof value === "string") {
    if (field.type !== "string") return field.wrongType;
    return value.length > MAX_TEXT_CHARS ? field.tooLong : undefined;
  }
  return typeof value === "boolean" && field.type === "boolean" ? undefined : field.wrongType;
}

/** The value that a text says for this field, or why it says none. Blank text is for the caller to treat as missing. */
export function valueOfText(field: Field, text: string): FieldValue | Invalid {
  const value = typed(field, text);
  if (value === undefined) return field.wrongType;
  return refusal(field, value) ?? value;
}

function typed(field: Field, text: string): FieldValue | undefined {
  if (field.type === "string") return text;
  if (field.type === "boolean") return BOOLEANS.get(text.toLowerCase());
  return decimal(text);
}

const BOOLEANS = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);
