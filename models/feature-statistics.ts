import type { Series } from "./series.ts";

/** Sum with the rounding errors carried along (Neumaier), so that it does not depend on the order of magnitude. */
export function sumOf(series: Series, from: number): number {
  const { values, head, mask, count } = series;
  let sum = 0;
  let lost = 0;
  for (let at = from; at < count; at++) {
    const value = values[(head + at) & mask] as number;
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return sum + lost;
}

/** The arithmetic mean, given the sum; exactly the value where all are equal. */
export function meanOf(sum: number, count: number, bounds: Bounds): number {
  return bounds.min === bounds.max ? bounds.min : sum / count;
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

export function boundsOf(series: Series, from: number): Bounds {
  const { values, head, mask, count } = series;
  let min = Number.NaN;
  let max = Number.NaN;
  if (from < count) min = max = values[(head + from) & mask] as number;
  for (let at = from + 1; at < count; at++) {
    const value = values[(head + at) & mask] as number;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

/** Central moments, divided by n, of values divided by `scale`. */
export interface Moments {
  readonly scale: number;
  readonly second: number;
  readonly third: number;
  readonly fourth: number;
}

/**
 * Two passes: distances from the mean, then the small error of the mean itself taken out. Distances are divided by a
 * power of two near the largest of them, which is exact and keeps fourth powers from overflowing or vanishing.
 */
export function momentsOf(series: Series, from: number, mean: number, bounds: Bounds): Moments {
  const { values, head, mask, count } = series;
  if (bounds.min === bounds.max) return { scale: 1, second: 0, third: 0, fourth: 0 };
  const scale = powerOfTwoBelow(Math.max(bounds.max - mean, mean - bounds.min));
  let one = 0;
  let two = 0;
  let three = 0;
  let four = 0;
  for (let at = from; at < count; at++) {
    const distance = ((values[(head + at) & mask] as number) - mean) / scale;
    const square = distance * distance;
    one += distance;
    two += square;
    three += square * distance;
    four += square * square;
  }
  const n = count - from;
  const off = one / n;
  const second = two / n - off * off;
  const third = three / n - 3 * off * (two / n) + 2 * off ** 3;
  const fourth = four / n - 4 * off * (three / n) + 6 * off * off * (two / n) - 3 * off ** 4;
  return { scale, second: Math.max(second, 0), third, fourth };
}

/** Root of the mean square, scaled like the moments. */
export function rmsOf(series: Series, from: number, bounds: Bounds): number {
  const { values, head, mask, count } = series;
  const largest = Math.max(Math.abs(bounds.min), Math.abs(bounds.max));
  if (bounds.min === bounds.max || largest === 0) return largest;
  const scale = powerOfTwoBelow(largest);
  let squares = 0;
  for (let at = from; at < count; at++) {
    const value = (values[(head + at) & mask] as number) / scale;
    squares += value * value;
  }
  return scale * Math.sqrt(squares / (count - from));
}

/** Least squares over event time, per second; NaN with fewer than two different times. */
export function slopeOf(series: Series, from: number, mean: number): number {
  const { times, values, head, mask, count } = series;
  if (from >= count) return Number.NaN;
  const firstMs = times[(head + from) & mask] as number;
  let timeSum = 0;
  for (let at = from; at < count; at++) timeSum += (times[(head + at) & mask] as number) - firstMs;
  const timeMean = timeSum / (count - from);
  let together = 0;
  let spread = 0;
  for (let at = from; at < count; at++) {
    const slot = (head + at) & mask;
    const time = (times[slot] as number) - firstMs - timeMean;
    together += time * ((values[slot] as number) - mean);
    spread += time * time;
  }
  return spread > 0 ? (together / spread) * 1000 : Number.NaN;
}

/** How often the sign changes from one reading that is not zero to the next that is not. */
export function crossingsOf(series: Series, from: number): number {
  const { values, head, mask, count } = series;
  let crossings = 0;
  let sign = 0;
  for (let at = from; at < count; at++) {
    const next = Math.sign(values[(head + at) & mask] as number);
    if (next === 0) continue;
    if (next === -sign) crossings += 1;
    sign = next;
  }
  return crossings;
}

function powerOfTwoBelow(value: number): number {
  return 2 ** Math.max(Math.floor(Math.log2(value)), -1022);
}
