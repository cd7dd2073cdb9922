/** What a command may touch of the process: main gives the real ones, tests their own. */
export interface Io {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Aborted by SIGINT, SIGTERM or SIGHUP. */
  readonly stop: AbortSignal;
}

/** Runs a verb's work and keeps its exit status. */
export type RunVerb = (work: () => Promise<number>) => Promise<void>;

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** systemd: starting it again does not help (EX_CONFIG of sysexits.h). */
export const EXIT_CONFIG = 78;
