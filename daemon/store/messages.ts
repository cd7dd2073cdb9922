import type { StartReason, Stream } from "../../sync/kinds.ts";
import type { Gap } from "../../sync/records.ts";
import type { StoreFailure } from "./errors.ts";

/** First thing that either side says: after an upgrade an old daemon may start a new thread. */
export const storeProtocol = 1;

export type ReadingValue = number | string | boolean | null;

/**
 * Accepted readings of one agent in one commit, packed: `numbers` holds, for each reading, its time, its arrival and
 * then `width` values; NaN stands for null, and for what is in `others` (a string or truth value, by its index).
 */
export interface ReadingBlock {
  readonly agent: number;
  readonly width: number;
  readonly keys: string[];
  readonly numbers: number[] | Float64Array;
  readonly others: [number, string | boolean][];
}

export interface SeenBlock {
  readonly agent: number;
  readonly ids: string[];
}

/** What one batch adds to the counters of one minute: agent number → counter → how many. */
export interface TallyDelta {
  readonly minute: number;
  readonly agents: Map<number, Map<string, number>>;
}

/** Changes of projections that are few; readings and seen ids, which are many, travel packed. */
export type Change =
  | { readonly kind: "agent"; readonly agent: number; readonly name: string }
  | {
      readonly kind: "windowCheckpoint";
      readonly agent: number;
      readonly key: string;
      readonly blob: Uint8Array | string;
    }
  | { readonly kind: "keyGone"; readonly agent: number; readonly key: string }
  | {
      readonly kind: "ruleState";
      readonly agent: number;
      readonly key: string;
      readonly rule: string;
      readonly state: string | null;
    }
  /** What a limit, a breaker or an interlock remembers; null: nothing any more. */
  | { readonly kind: "limit"; readonly scope: string; readonly state: string | null }
  | { readonly kind: "pruneReadings"; readonly agent: number; readonly beforeMs: number }
  | { readonly kind: "gap"; readonly fromMs: number; readonly toMs: number; readonly reason: string }
  /** What of a stream of a start the fleet has; `epoch` is its ordinal, `ranges` what lies beyond, as JSON. */
  | {
      readonly kind: "acknowledged";
      readonly epoch: number;
      readonly stream: number;
      readonly contiguous: number;
      readonly ranges: string;
    }
  | { readonly kind: "meta"; readonly name: string; readonly value: string };

/** What goes to the writer at once and becomes one transaction. Records are parallel arrays: cheap to clone. */
export interface Batch {
  readonly kind: "batch";
  readonly number: number;
  readonly streams: Stream[];
  readonly kinds: number[];
  readonly agents: number[];
  readonly walls: number[];
  readonly ids: string[];
  readonly bodies: string[];
  readonly readings: ReadingBlock[];
  readonly seen: SeenBlock[];
  readonly changes: Change[];
  readonly tallies: TallyDelta[];
}

export interface Moment {
  readonly wallMs: number;
  readonly bootMs: number;
}

export interface StoreLimits {
  readonly maxBytes: number;
  readonly ballastBytes: number;
  readonly rememberIds: number;
  readonly retention: { readonly decisionsDays: number; readonly quietDays: number; readonly telemetryDays: number };
}

/** What tests inject; never set in service. */
export interface StoreFaults {
  /** `armCrashpoint` in the writer's thread. */
  readonly crashpoint?: string | undefined;
  /** Each commit takes this much longer, as on a slow card. */
  readonly slowCommitMs?: number | undefined;
}

export interface WriterStart extends Moment {
  readonly protocol: number;
  readonly directory: string;
  readonly limits: StoreLimits;
  readonly bootId: string;
  readonly fingerprint: string;
  readonly faults: StoreFaults;
}

export interface EpochInfo {
  readonly id: string;
  readonly ordinal: number;
  readonly previous: string | undefined;
  readonly reason: StartReason;
  readonly startedWallMs: number;
  readonly gap: Gap | undefined;
  /** What a person should know of this start: what was skipped, quarantined, salvaged. */
  readonly notes: readonly string[];
}

export interface Generation {
  readonly id: string;
  readonly origin: string;
  readonly createdAt: number;
  readonly files: readonly { readonly path: string; readonly sha256: string; readonly source: string }[];
}

export interface ControlState {
  readonly generations: readonly { readonly id: string; readonly origin: string; readonly createdAt: number }[];
  readonly pointer: string | undefined;
  readonly modes: Readonly<Record<string, string>>;
  readonly meta: Readonly<Record<string, string>>;
  /** Ids of commands of the fleet that were taken in. */
  readonly inbox: readonly string[];
}

export type ControlChange =
  /** A command of the fleet; only the newest `most` are kept. */
  | { readonly kind: "inbox"; readonly id: string; readonly expiresAt: number; readonly most: number }
  | { readonly kind: "generation"; readonly generation: Generation }
  | { readonly kind: "pointer"; readonly id: string }
  | { readonly kind: "mode"; readonly scope: string; readonly mode: string }
  | { readonly kind: "meta"; readonly name: string; readonly value: string };

/** One action with the lines that say where it stands. */
export interface RestoredAction {
  /** Its proposal, or its intent where nobody had to say yes. */
  readonly first: string;
  readonly intent: string | undefined;
  /** Its newest outcome. */
  readonly last: string | undefined;
  readonly approvals: readonly string[];
}

/** Everything of earlier starts that the running daemon goes on with, in one piece. */
export interface Restored {
  readonly agents: ReadonlyMap<string, number>;
  /** All-time counters by agent name; "" is the gateway itself. */
  readonly totals: Readonly<Record<string, Record<string, number>>>;
  /** The reading journal in the order in which it was accepted. */
  readonly readings: readonly ReadingBlock[];
  readonly checkpoints: readonly { readonly agent: number; readonly key: string; readonly blob: Uint8Array }[];
  readonly ruleStates: readonly {
    readonly agent: number;
    readonly key: string;
    readonly rule: string;
    readonly state: string;
  }[];
  /** Oldest first; the newest `rememberIds` of all agents. */
  readonly seen: readonly SeenBlock[];
  readonly meta: Readonly<Record<string, string>>;
}

/** What earlier starts left of actions. */
export interface RestoredActions {
  /** Those of which more is to come, oldest first. */
  readonly open: readonly RestoredAction[];
  /** What limits, breakers and interlocks remember, by scope. */
  readonly limits: Readonly<Record<string, string>>;
  /** The newest start at which the log was not what it had been: an older one, another machine's, a salvaged one. */
  readonly wentBack: { readonly bootId: string; readonly bootMs: number; readonly wallMs: number } | undefined;
  /** Of the actions that were asked about, those that the log knows. */
  readonly known: readonly string[];
}

export type StoreCondition = "starting" | "open" | "full" | "stopped";

export interface StoreState {
  readonly condition: StoreCondition;
  readonly reason: string | undefined;
  readonly sinceMs: number | undefined;
}

export interface WriterFigures {
  readonly rows: number;
  readonly lastN: number;
  readonly commits: number;
  readonly busyCheckpoints: number;
  readonly largestWalBytes: number;
  readonly droppedRows: number;
  /** Of the writing connection; 2 is FULL. */
  readonly synchronous: number;
}

export type ToWriter =
  | Batch
  | ({ readonly kind: "minute" } & Moment)
  | { readonly kind: "restore"; readonly ask: number }
  | { readonly kind: "restoreActions"; readonly ask: number; readonly ids: readonly string[] }
  | { readonly kind: "control"; readonly ask: number; readonly change: ControlChange | undefined }
  | { readonly kind: "figures"; readonly ask: number }
  | { readonly kind: "fault"; readonly full: boolean }
  | ({ readonly kind: "close" } & Moment);

export type FromWriter =
  | { readonly kind: "hello"; readonly protocol: number }
  | {
      readonly kind: "opened";
      readonly epoch: EpochInfo;
      readonly gaps: readonly Gap[];
      readonly agents: [string, number][];
      readonly lastN: number;
    }
  | { readonly kind: "durable"; readonly number: number; readonly lastN: number; readonly gaps: readonly Gap[] }
  | { readonly kind: "state"; readonly state: StoreState }
  | { readonly kind: "note"; readonly what: string; readonly detail: Readonly<Record<string, unknown>> }
  | { readonly kind: "answer"; readonly ask: number; readonly value: unknown }
  | { readonly kind: "refused"; readonly ask: number; readonly failure: StoreFailure }
  | { readonly kind: "failed"; readonly failure: StoreFailure }
  | { readonly kind: "closed" };
