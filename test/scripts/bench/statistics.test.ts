import { describe, expect, it } from "vitest";
import { judge } from "../../../scripts/bench/bars.ts";
import type { RunFigures } from "../../../scripts/bench/measure.ts";
import { median, percentile, slope } from "../../../scripts/bench/statistics.ts";

describe("the statistics of a benchmark", () => {
  it("take the middle, the nearest rank and the line of least squares", () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
    const thousand = Float64Array.from({ length: 1000 }, (_, at) => at + 1);
    expect([0.5, 0.99, 0.999, 1].map((share) => percentile(thousand, share))).toEqual([500, 990, 999, 1000]);
    expect(slope([0, 1, 2, 3], [5, 7, 9, 11])).toBe(2);
  });

  it("judge by the median of the ratios of each round, not by the ratio of the medians", () => {
    const flood = (perSecond: number) => ({ flood: { perSecond } as RunFigures });
    const rounds = [
      { qos: 1 as const, round: 1, bare: flood(100), holdfast: flood(70) },
      { qos: 1 as const, round: 2, bare: flood(10), holdfast: flood(5) },
      { qos: 1 as const, round: 3, bare: flood(50), holdfast: flood(31) },
    ];
    const [verdict] = judge(rounds);
    expect(verdict).toMatchObject({ qos: 1, median: 0.62, isMet: true, perRound: [0.7, 0.5, 0.62] });
  });
});
