/**
 * Quantile of the first `count` values by linear interpolation between the two nearest ranks (rank `(n - 1) * q`, what
 * numpy calls "linear" and R type 7). Reorders the values; asking again for another quantile is fine.
 */
export function quantileOf(values: Float64Array, count: number, q: number): number {
  if (count === 0) return Number.NaN;
  const rank = (count - 1) * q;
  const lower = Math.floor(rank);
  const low = select(values, count, lower);
  const fraction = rank - lower;
  if (fraction === 0) return low;
  // After the selection everything behind the rank is at least as large: the next rank is the least of it.
  let next = values[lower + 1] as number;
  for (let at = lower + 2; at < count; at++) {
    const value = values[at] as number;
    if (value < next) next = value;
  }
  // From the nearer end, so that equal neighbours give exactly their value.
  return fraction < 0.5 ? low + (next - low) * fraction : next - (next - low) * (1 - fraction);
}

/** The value of this rank, with all smaller ones before it and all larger ones behind it. */
function select(values: Float64Array, count: number, rank: number): number {
  let left = 0;
  let right = count - 1;
  // Readings come from outside: an order made to defeat the pivots must not cost the square of the window.
  let rounds = 2 * Math.ceil(Math.log2(count + 1)) + 4;
  while (left < right) {
    if (rounds === 0) {
      values.subarray(left, right + 1).sort();
      break;
    }
    rounds -= 1;
    const pivot = medianOfThree(
      values[left] as number,
      values[(left + right) >>> 1] as number,
      values[right] as number,
    );
    let low = left;
    let high = right;
    while (low <= high) {
      while ((values[low] as number) < pivot) low += 1;
      while ((values[high] as number) > pivot) high -= 1;
      if (low > high) break;
      const value = values[low] as number;
      values[low] = values[high] as number;
      values[high] = value;
      low += 1;
      high -= 1;
    }
    if (rank <= high) right = high;
    else if (rank >= low) left = low;
    else break;
  }
  return values[rank] as number;
}

function medianOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
