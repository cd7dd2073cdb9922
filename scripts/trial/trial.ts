export interface TrialOptions {
  readonly rounds: number | undefined;
  readonly bus: "embedded" | "external" | undefined;
  /** Another one makes another order of faults. */
  readonly seed?: number | undefined;
  /** Only these faults, where the trial has several. */
  readonly faults?: readonly string[] | undefined;
  /** How long what is tried goes on, where the trial may be long. */
  readonly minutes?: number | undefined;
  readonly keep: boolean;
  readonly say: (line: string) => void;
}

/** What a trial saw: figures by title, and each thing that should have held and did not. */
export interface TrialResult {
  readonly figures: Readonly<Record<string, unknown>>;
  readonly failures: readonly string[];
}

export type Trial = (options: TrialOptions) => Promise<TrialResult>;
