export interface TrialOptions {
  readonly rounds: number | undefined;
  readonly bus: "embedded" | "external" | undefined;
  readonly keep: boolean;
  readonly say: (line: string) => void;
}

/** What a trial saw: figures by title, and each thing that should have held and did not. */
export interface TrialResult {
  readonly figures: Readonly<Record<string, unknown>>;
  readonly failures: readonly string[];
}

export type Trial = (options: TrialOptions) => Promise<TrialResult>;
