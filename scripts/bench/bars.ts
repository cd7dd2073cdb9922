import type { ActFigures } from "./act.ts";
import type { RunFigures } from "./measure.ts";
import { median } from "./statistics.ts";

/** Those of the last two are runs in which each message leads to an effect. */
export const phases = ["flood", "paced", "prompt", "act-flood", "act"] as const;
export type Phase = (typeof phases)[number];
export type ActPhase = Extract<Phase, "act-flood" | "act">;
export type DecidePhase = Exclude<Phase, ActPhase>;

export function isActPhase(phase: Phase): phase is ActPhase {
  return phase === "act" || phase === "act-flood";
}

type ActRuns = { readonly [phase in ActPhase]?: ActFigures };

/** The runs of one round at one QoS; a phase that was not asked for is absent. */
export interface Round {
  readonly qos: 0 | 1;
  readonly round: number;
  readonly bare: ActRuns & { readonly flood?: RunFigures; readonly paced?: RunFigures };
  readonly holdfast: ActRuns & {
    readonly flood?: RunFigures;
    readonly paced?: RunFigures;
    readonly prompt?: RunFigures;
  };
}

export interface Bar {
  readonly name: string;
  readonly limit: number;
  readonly best: "high" | "low";
  /** Undefined when the runs that it needs were not made. */
  readonly value: (round: Round) => number | undefined;
}

function ratio(ours: number | undefined, ceiling: number | undefined): number | undefined {
  return ours === undefined || ceiling === undefined ? undefined : ours / ceiling;
}

export const bars: readonly Bar[] = [
  {
    name: "flood: decisions/s, share of the ceiling",
    limit: 0.6,
    best: "high",
    value: ({ bare, holdfast }) => ratio(holdfast.flood?.perSecond, bare.flood?.perSecond),
  },
  {
    name: "flood: CPU a decision, times the ceiling",
    limit: 1.6,
    best: "low",
    value: ({ bare, holdfast }) => ratio(holdfast.flood?.cpuUsPerDecision, bare.flood?.cpuUsPerDecision),
  },
  {
    name: "1,000/s prompt: p99, times the ceiling",
    limit: 2,
    best: "low",
    value: ({ bare, holdfast }) => ratio(holdfast.prompt?.p99Ms, bare.paced?.p99Ms),
  },
  {
    name: "1,000/s paced: CPU, times the ceiling",
    limit: 0.7,
    best: "low",
    value: ({ bare, holdfast }) => ratio(holdfast.paced?.cores, bare.paced?.cores),
  },
  {
    name: "1,000/s paced: bytes written a decision",
    limit: 2500,
    best: "low",
    value: ({ holdfast }) => holdfast.paced?.writtenBytesPerDecision,
  },
  {
    name: "1,000/s paced: bytes kept a decision",
    limit: 800,
    best: "low",
    value: ({ holdfast }) => holdfast.paced?.keptBytesPerDecision,
  },
  {
    name: "1,000/s paced: PSS, times the ceiling",
    limit: 1.2,
    best: "low",
    value: ({ bare, holdfast }) => ratio(holdfast.paced?.pssBytes, bare.paced?.pssBytes),
  },
  {
    name: "100/s acting: p99 to the effect, times the ceiling",
    limit: 2,
    best: "low",
    value: ({ bare, holdfast }) => ratio(holdfast.act?.p99Ms, bare.act?.p99Ms),
  },
];

export interface Verdict {
  readonly name: string;
  readonly qos: 0 | 1;
  readonly limit: number;
  readonly best: Bar["best"];
  readonly perRound: readonly number[];
  readonly median: number;
  readonly isMet: boolean;
}

/** Each bar at each QoS: the ratio of every round and the median of the ratios, which is what is judged. */
export function judge(rounds: readonly Round[]): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const qos of [0, 1] as const) {
    for (const bar of bars) {
      const perRound = rounds.filter((round) => round.qos === qos).flatMap((round) => bar.value(round) ?? []);
      if (perRound.length === 0) continue;
      const middle = median(perRound);
      const isMet = bar.best === "high" ? middle >= bar.limit : middle <= bar.limit;
      verdicts.push({ name: bar.name, qos, limit: bar.limit, best: bar.best, perRound, median: middle, isMet });
    }
  }
  return verdicts;
}
