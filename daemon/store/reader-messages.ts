import type { Waiting } from "../../sync/outgoing.ts";
import type { Gap } from "../../sync/records.ts";
import type { BatchAsk, ReadBatch } from "../../sync/uplink-log.ts";
import type { StoreFailure } from "./errors.ts";
import type { RestoredAction } from "./messages.ts";
import type { Counts, EpochSummary, Page, RecordFilter, StoredRow } from "./queries.ts";
import type { ActionFilter } from "./tables/action.ts";
import type { Heads, Life, OutboxStream } from "./uplink-queries.ts";

export const readerProtocol = 3;

export interface ReaderStart {
  readonly protocol: number;
  readonly path: string;
}

/** What may be asked of the reader thread, and what each is answered with. */
export interface Questions {
  page: { ask: RecordFilter; answer: Page };
  byId: { ask: string; answer: StoredRow | undefined };
  epochs: { ask: undefined; answer: EpochSummary[] };
  gaps: { ask: undefined; answer: Gap[] };
  totals: { ask: undefined; answer: Record<string, Record<string, number>> };
  counts: { ask: undefined; answer: Counts };
  actions: { ask: ActionFilter; answer: RestoredAction[] };
  waiting: { ask: undefined; answer: Waiting[] };
  life: { ask: undefined; answer: Life };
  heads: { ask: undefined; answer: Heads };
  batch: { ask: BatchAsk; answer: ReadBatch };
  outbox: { ask: undefined; answer: OutboxStream[] };
  actionsOf: { ask: readonly string[]; answer: RestoredAction[] };
}

export type Question = keyof Questions;

export interface ToReader {
  readonly ask: number;
  readonly question: Question;
  readonly value: unknown;
}

export type FromReader =
  | { readonly kind: "hello"; readonly protocol: number }
  | { readonly kind: "answer"; readonly ask: number; readonly value: unknown }
  | { readonly kind: "refused"; readonly ask: number; readonly failure: StoreFailure };
