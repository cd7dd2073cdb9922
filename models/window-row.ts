import type { FeatureCall } from "../config/feature-syntax.ts";
import { ModelError } from "./errors.ts";
import { FieldFeatures } from "./features.ts";
import type { FieldSpec, FieldValue } from "./field-memory.ts";
import { Series } from "./series.ts";
import type { InputRow } from "./tensors.ts";
import type { NoRow, OpenRow, WindowSpec } from "./window-spec.ts";
import type { WindowState } from "./window-state.ts";

/** How a window's readings become a row, prepared once. */
export interface RowPlan {
  /** Fields whose readings are kept: those that features read; without features, all that are numbers. */
  readonly kept: readonly boolean[];
  row(state: WindowState, fields: FieldValue[], endMs: number): OpenRow | NoRow;
}

interface FieldPlan {
  readonly field: number;
  readonly features: FieldFeatures;
}

/** `last` of a field whose newest value counts by itself: text, truth, or one kept beyond the window. */
interface LastPlan {
  readonly slot: number;
  readonly field: number;
  readonly keeps: boolean;
  readonly onlyWhenEmpty: boolean;
}

export function rowPlan(spec: WindowSpec): RowPlan {
  const indexOf = new Map(spec.fields.map((field, at) => [field.name, at]));
  const lasts: LastPlan[] = [];
  const byField = new Map<number, { calls: FeatureCall[]; slots: number[] }>();
  for (const [slot, call] of spec.features.entries()) {
    const at = indexOf.get(call.field);
    const field = at === undefined ? undefined : spec.fields[at];
    if (at === undefined || field === undefined)
      throw new ModelError("WINDOW_FEATURE", { fn: call.fn, field: call.field });
    const isPlain = field.type === "string" || field.type === "boolean";
    if (field.type === "string" && call.fn !== "last")
      throw new ModelError("WINDOW_FEATURE", { fn: call.fn, field: call.field });
    const keeps = field.missing === "last";
    if (call.fn === "last" && (isPlain || keeps)) lasts.push({ slot, field: at, keeps, onlyWhenEmpty: !isPlain });
    if (field.type === "string") continue;
    const group = byField.get(at) ?? { calls: [], slots: [] };
    group.calls.push(call);
    group.slots.push(slot);
    byField.set(at, group);
  }
  const kept = spec.fields.map((field, at) => (spec.features.length === 0 ? isNumeric(field) : byField.has(at)));
  const plans = [...byField].map(([field, group]) => ({
    field,
    features: new FieldFeatures(group.calls, group.slots),
  }));
  return new PreparedRow(spec, kept, plans, lasts);
}

class PreparedRow implements RowPlan {
  readonly kept: readonly boolean[];
  readonly #spec: WindowSpec;
  readonly #counted: readonly number[];
  readonly #plans: readonly FieldPlan[];
  readonly #lasts: readonly LastPlan[];

  constructor(spec: WindowSpec, kept: readonly boolean[], plans: readonly FieldPlan[], lasts: readonly LastPlan[]) {
    this.#spec = spec;
    this.kept = kept;
    this.#counted = [...kept.keys()].filter((at) => kept[at]);
    this.#plans = plans;
    this.#lasts = lasts;
  }

  row(state: WindowState, fields: FieldValue[], endMs: number): OpenRow | NoRow {
    const startMs = endMs - this.#spec.spanMs;
    let coverage = 1;
    let count = this.#counted.length === 0 ? 0 : Number.POSITIVE_INFINITY;
    let isEmpty = this.#counted.length > 0;
    for (const at of this.#counted) {
      const series = state.series[at] ?? NO_READINGS;
      const from = series.firstAfter(startMs);
      const inWindow = series.count - from;
      if (inWindow > 0) isEmpty = false;
      count = Math.min(count, inWindow);
      coverage = Math.min(coverage, this.#coverage(series, from, endMs));
    }
    if (isEmpty) return EMPTY;
    if (coverage < this.#spec.minimumCoverage) return TOO_LITTLE;
    // A field without a value stays undefined in a row; whoever runs the model refuses it there.
    const values = this.#spec.features.length === 0 ? (fields as InputRow) : this.#features(state, fields, startMs);
    return { ok: true, values, fields, coverage, count, endMs };
  }

  #features(state: WindowState, fields: FieldValue[], startMs: number): InputRow {
    const row = new Array<number | string | boolean>(this.#spec.features.length).fill(Number.NaN);
    for (const { field, features } of this.#plans) {
      const series = state.series[field] ?? NO_READINGS;
      features.fill(row, series, series.firstAfter(startMs));
    }
    for (const { slot, field, keeps, onlyWhenEmpty } of this.#lasts) {
      if (onlyWhenEmpty && !Number.isNaN(row[slot])) continue;
      const isCurrent = keeps || (state.memory.timesMs[field] as number) > startMs;
      row[slot] = isCurrent ? (fields[field] ?? Number.NaN) : Number.NaN;
    }
    return row;
  }

  /**
   * How much of the window the readings stand for: the expected number of them where the agent says how often they
   * come; else each stands for the mean step before it, so that n readings a step apart cover n steps.
   */
  #coverage(series: Series, from: number, endMs: number): number {
    const { spanMs, expectEveryMs } = this.#spec;
    const count = series.count - from;
    if (expectEveryMs !== undefined) return Math.min(1, (count * expectEveryMs) / spanMs);
    if (count < 2) return 0;
    return Math.min(1, ((endMs - series.timeAt(from)) * count) / (spanMs * (count - 1)));
  }
}

const NO_READINGS = new Series();
const EMPTY: NoRow = { ok: false, reason: "empty" };
const TOO_LITTLE: NoRow = { ok: false, reason: "coverage" };

function isNumeric(field: FieldSpec): boolean {
  return field.type !== "string";
}
