/** What a command may touch of the process: main gives the real ones, tests their own. */
export interface Io {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Standard output is a terminal: align, colour, show progress. */
  readonly terminal: boolean;
  readonly columns: number;
  /** Aborted by SIGINT, SIGTERM or SIGHUP. */
  readonly stop: AbortSignal;
  /** Asks the person at the terminal; undefined where there is none, or the answer was a stop. */
  readonly ask?: (question: string) => Promise<string | undefined>;
}

/** Runs a verb's work and keeps its exit status. */
export type RunVerb = (work: () => Promise<number>) => Promise<void>;

/** The program itself, for a verb that asks it about its verbs. */
export type Parse = (args: readonly string[], io: Io) => Promise<number>;
