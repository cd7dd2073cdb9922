import type { BatchHeader, Position } from "./messages.ts";
import type { Waiting } from "./outgoing.ts";

/** The log, as the uplink needs it. */
export interface UplinkLog {
  waiting(): Promise<readonly Waiting[]>;
  /** The newest seq of each stream of the start that runs. */
  heads(): Promise<{ readonly epoch: string; readonly ordinal: number; readonly seqs: readonly number[] }>;
  batch(ask: BatchAsk): Promise<ReadBatch>;
  /** To be kept, so that a restart does not send all again. Need not be durable at once: the fleet knows it too. */
  acknowledged(ordinal: number, position: Position): void;
  /** Something that the log has to tell, in its safety stream. */
  report(what: string, detail: Readonly<Record<string, unknown>>): void;
}

export interface BatchAsk {
  readonly ordinal: number;
  readonly from: number;
  readonly to: number;
  /** What the line likes; one record may be more, up to `largestBytes`. */
  readonly mostBytes: number;
  readonly largestBytes: number;
  /** The header's other members; the log fills in what it found. */
  readonly header: Omit<BatchHeader, "lo" | "hi" | "dropped">;
}

/** gone: none of the rows is in the log any more. tooLarge: the first row alone is more than the largest batch. */
export type ReadBatch =
  | {
      readonly kind: "batch";
      readonly payload: Uint8Array;
      readonly lo: number;
      readonly hi: number;
      readonly rows: number;
    }
  | { readonly kind: "gone" }
  | { readonly kind: "tooLarge"; readonly seq: number; readonly bytes: number };
