import type { FeatureFunction } from "../../config/feature-syntax.ts";

export interface Reading {
  readonly timeMs: number;
  readonly value: number;
}

/** Each feature as a textbook has it, over plain arrays: slow, and on its own. */
export function naive(fn: FeatureFunction, readings: readonly Reading[], argument = 0.5): number {
  const values = readings.map((reading) => reading.value);
  const n = values.length;
  const total = (of: readonly number[]): number => of.reduce((sum, value) => sum + value, 0);
  if (fn === "count") return n;
  if (fn === "sum") return total(values);
  if (fn === "zeroCrossings") {
    const signed = values.filter((value) => value !== 0);
    return signed.filter((value, at) => at > 0 && value > 0 !== signed[at - 1]! > 0).length;
  }
  if (n === 0) return Number.NaN;
  const mean = total(values) / n;
  const moment = (power: number): number => total(values.map((value) => (value - mean) ** power)) / n;
  const isConstant = values.every((value) => value === values[0]);
  const sorted = [...values].sort((a, b) => a - b);
  const quantile = (q: number): number => {
    const rank = (n - 1) * q;
    const low = sorted[Math.floor(rank)]!;
    return low + (rank - Math.floor(rank)) * ((sorted[Math.floor(rank) + 1] ?? low) - low);
  };
  switch (fn) {
    case "last":
      return values[n - 1]!;
    case "first":
      return values[0]!;
    case "mean":
      return mean;
    case "std":
      return Math.sqrt(moment(2));
    case "var":
      return moment(2);
    case "min":
      return sorted[0]!;
    case "max":
      return sorted[n - 1]!;
    case "range":
      return sorted[n - 1]! - sorted[0]!;
    case "rms":
      return Math.sqrt(total(values.map((value) => value ** 2)) / n);
    case "delta":
      return values[n - 1]! - values[0]!;
    case "median":
      return quantile(0.5);
    case "quantile":
      return quantile(argument);
    case "skew":
      return isConstant ? Number.NaN : moment(3) / moment(2) ** 1.5;
    case "kurtosis":
      return isConstant ? Number.NaN : moment(4) / moment(2) ** 2 - 3;
    case "slope": {
      const seconds = readings.map((reading) => (reading.timeMs - readings[0]!.timeMs) / 1000);
      const middle = total(seconds) / n;
      const spread = total(seconds.map((second) => (second - middle) ** 2));
      return spread === 0
        ? Number.NaN
        : total(seconds.map((second, at) => (second - middle) * (values[at]! - mean))) / spread;
    }
  }
}
