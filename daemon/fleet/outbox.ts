import { streamNames } from "../../sync/records.ts";
import type { OutboxStream } from "../store/uplink-queries.ts";

export interface OutboxLine {
  readonly name: string;
  /** Wall time in milliseconds. */
  readonly oldestAt: number | null;
  readonly records: number;
  readonly bytes: number;
  readonly acknowledged: { readonly epoch: string; readonly seq: number } | null;
  readonly dropped: number;
}

export interface Outbox {
  readonly streams: readonly OutboxLine[];
  /** What it takes to send all of it, as it went of late; seconds are null while nothing was sent yet. */
  readonly drain: { readonly bytes: number; readonly seconds: number | null };
  readonly fleet: { readonly link: string; readonly uplink: string } | null;
}

export interface Speed {
  /** Of a record on the wire. */
  readonly rowBytes: number;
  readonly bytesPerSecond: number;
}

const USUAL_ROW_BYTES = 80;

export function outboxStreams(streams: readonly OutboxStream[]): OutboxLine[] {
  return streams.map(({ stream, oldestMs, records, bytes, acknowledged, droppedRows }) => ({
    ...{ name: streamNames[stream] ?? String(stream), oldestAt: oldestMs ?? null, records, bytes },
    ...{ acknowledged: acknowledged ?? null, dropped: droppedRows },
  }));
}

export function drainOf(streams: readonly OutboxLine[], speed: Speed | undefined): Outbox["drain"] {
  const records = streams.reduce((sum, one) => sum + one.records, 0);
  const bytes = Math.round(records * (speed?.rowBytes ?? USUAL_ROW_BYTES));
  const rate = speed?.bytesPerSecond ?? 0;
  return { bytes, seconds: records === 0 ? 0 : rate > 0 ? Math.round(bytes / rate) : null };
}
