const STEP = Math.log(1.05);
const SMALLEST = 1e-12;
const BUCKETS = 1200;

/** Sizes from 1e-12 to 1e13 in steps of 5 %, for quantiles in a bounded place; the largest is exact. */
export class Spread {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  #largest = 0;

  add(size: number): void {
    const at = size <= SMALLEST ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(size / SMALLEST) / STEP));
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#total += 1;
    this.#largest = Math.max(this.#largest, size);
  }

  get count(): number {
    return this.#total;
  }

  get largest(): number {
    return this.#largest;
  }

  /** The size that this share of all does not exceed, to 5 %. */
  quantile(share: number): number {
    const wanted = share * this.#total;
    let seen = 0;
    for (let at = 0; at < BUCKETS; at++) {
      seen += this.#counts[at] as number;
      if (seen >= wanted)
        return at === 0 ? 0 : Math.min(this.#largest, Number((SMALLEST * Math.exp(at * STEP)).toPrecision(3)));
    }
    return this.#largest;
  }
}
