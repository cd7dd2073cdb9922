import type { FeatureCall, FeatureFunction } from "../config/feature-syntax.ts";
import { quantileOf } from "./feature-quantile.ts";
import {
  type Bounds,
  boundsOf,
  crossingsOf,
  type Moments,
  meanOf,
  momentsOf,
  rmsOf,
  slopeOf,
  sumOf,
} from "./feature-statistics.ts";
import type { Series } from "./series.ts";

/**
 * What each feature is, over the readings of its field in the window, in order of event time. Without readings `count`,
 * `sum` and `zeroCrossings` are 0 and all others NaN; what is undefined is NaN, and a pass with NaN takes its fallback.
 */
export const featureMeanings: Readonly<Record<FeatureFunction, string>> = {
  last: "The newest reading; with `missing: last` also one from before the window, within maxAgeSeconds.",
  first: "The oldest reading in the window.",
  count: "How many readings there are.",
  sum: "Their sum, with rounding errors compensated. 0 without readings.",
  mean: "Their arithmetic mean.",
  std: "Standard deviation of the population (divided by n). 0 with one reading.",
  var: "Variance of the population (divided by n). 0 with one reading.",
  min: "The smallest reading.",
  max: "The largest reading.",
  range: "max − min. 0 with one reading.",
  rms: "Root of the mean square.",
  slope: "Least-squares slope over event time, per second. Undefined with fewer than two different times.",
  delta: "Newest reading − oldest reading. 0 with one reading.",
  quantile: "Quantile with linear interpolation between the nearest ranks (numpy's default, R type 7).",
  median: "quantile(…, 0.5).",
  kurtosis: "Excess kurtosis of the population (Fisher, biased). Undefined when all readings are equal.",
  skew: "Skewness of the population (g1, biased). Undefined when all readings are equal.",
  zeroCrossings: "How often the sign changes; a zero has no sign and is passed over. 0 without readings.",
};

/** Unit of a feature, given its field's: `mm/s` → `mm/s` for a mean, `(mm/s)²` for a variance, `mm/s/s` for a slope. */
export function featureUnit(fn: FeatureFunction, unit: string | undefined): string | undefined {
  switch (fn) {
    case "count":
    case "kurtosis":
    case "skew":
    case "zeroCrossings":
      return "1";
    case "var":
      if (unit === undefined || unit === "1") return unit;
      return /^[\p{L}°%]+$/u.test(unit) ? `${unit}²` : `(${unit})²`;
    case "slope":
      return unit === undefined ? undefined : `${unit}/s`;
    default:
      return unit;
  }
}

/** The features of one field, computed together so that sums and moments are made once. */
export class FieldFeatures {
  readonly #calls: readonly FeatureCall[];
  readonly #slots: readonly number[];
  readonly #needsMoments: boolean;
  readonly #needsSum: boolean;
  readonly #needsBounds: boolean;
  readonly #needsCopy: boolean;

  /** `slots` are the places of the features in the row. */
  constructor(calls: readonly FeatureCall[], slots: readonly number[]) {
    const uses = (...functions: FeatureFunction[]): boolean => calls.some((call) => functions.includes(call.fn));
    this.#calls = calls;
    this.#slots = slots;
    this.#needsMoments = uses("std", "var", "kurtosis", "skew");
    this.#needsSum = this.#needsMoments || uses("sum", "mean", "slope");
    this.#needsBounds = this.#needsSum || uses("min", "max", "range", "rms");
    this.#needsCopy = uses("quantile", "median");
  }

  /** Writes the features of the readings from index `from` on into the row. */
  fill(row: (number | string | boolean)[], series: Series, from: number): void {
    const count = series.count - from;
    const bounds = this.#needsBounds ? boundsOf(series, from) : NO_BOUNDS;
    const sum = this.#needsSum ? sumOf(series, from) : 0;
    const mean = this.#needsSum ? meanOf(sum, count, bounds) : Number.NaN;
    const moments = this.#needsMoments && count > 0 ? momentsOf(series, from, mean, bounds) : NO_MOMENTS;
    if (this.#needsCopy) copyInto(series, from);
    for (let at = 0; at < this.#calls.length; at++) {
      const { fn, argument } = this.#calls[at] as FeatureCall;
      let value: number;
      if (fn === "quantile") value = quantileOf(scratch, count, argument ?? Number.NaN);
      else if (fn === "median") value = quantileOf(scratch, count, 0.5);
      else if (fn === "sum") value = sum;
      else if (fn === "mean") value = mean;
      else if (fn === "std" || fn === "var" || fn === "kurtosis" || fn === "skew") value = shapeOf(fn, moments);
      else if (fn === "slope") value = slopeOf(series, from, mean);
      else if (fn === "zeroCrossings") value = crossingsOf(series, from);
      else value = simple(fn, series, from, bounds);
      row[this.#slots[at] as number] = value;
    }
  }
}

const NO_BOUNDS: Bounds = { min: Number.NaN, max: Number.NaN };
const NO_MOMENTS: Moments = { scale: Number.NaN, second: Number.NaN, third: Number.NaN, fourth: Number.NaN };

/** Quantiles reorder what they look at; one copy serves all series, since nothing runs beside it. */
let scratch = new Float64Array(64);

function copyInto(series: Series, from: number): void {
  const { values, head, mask, count } = series;
  if (count - from > scratch.length) scratch = new Float64Array(values.length);
  for (let at = from; at < count; at++) scratch[at - from] = values[(head + at) & mask] as number;
}

function shapeOf(fn: "std" | "var" | "kurtosis" | "skew", moments: Moments): number {
  const { scale, second, third, fourth } = moments;
  if (fn === "var") return second * scale * scale;
  if (fn === "std") return scale * Math.sqrt(second);
  return fn === "skew" ? third / (second * Math.sqrt(second)) : fourth / (second * second) - 3;
}

type Simple = "last" | "first" | "count" | "min" | "max" | "range" | "rms" | "delta";

function simple(fn: Simple, series: Series, from: number, bounds: Bounds): number {
  const count = series.count - from;
  if (fn === "count") return count;
  if (count === 0) return Number.NaN;
  switch (fn) {
    case "last":
      return series.valueAt(series.count - 1);
    case "first":
      return series.valueAt(from);
    case "delta":
      return series.valueAt(series.count - 1) - series.valueAt(from);
    case "min":
      return bounds.min;
    case "max":
      return bounds.max;
    case "range":
      return bounds.max - bounds.min;
    case "rms":
      return rmsOf(series, from, bounds);
  }
}
