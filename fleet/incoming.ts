import { isUtf8 } from "node:buffer";
import type { BatchLine, DecodedBatch } from "../sync/batch.ts";
import { streams } from "../sync/kinds.ts";
import { clockSyncSchema, dropSchema, epochStartSchema } from "../sync/records.ts";
import { isDeeper } from "./nesting.ts";

/** A line that is a record, with what the store keeps of it beside its text. */
export interface IncomingRecord {
  readonly gateway: string;
  readonly epoch: string;
  readonly stream: number;
  readonly seq: number;
  readonly kind: string;
  readonly agent: string | null;
  readonly atMs: number | null;
  readonly bootMs: number | null;
  readonly hash: Buffer;
  readonly body: string;
}

/** A line that is none: kept as it came. */
export interface DeadLetter extends BatchLine {
  readonly gateway: string;
  readonly epoch: string;
  readonly stream: number;
  /** Why it is none; also said to the gateway. */
  readonly refusal: "schema" | "tooLarge";
  readonly reason: string;
}

/** What a record tells of other records. */
export type Told =
  | {
      readonly kind: "epochStart";
      readonly gateway: string;
      readonly epoch: string;
      readonly ordinal: number;
      readonly previous: string | null;
      readonly bootId: string;
      readonly fingerprint: string;
      readonly startedMs: number;
      readonly reason: string;
    }
  | {
      readonly kind: "drop";
      readonly gateway: string;
      readonly epoch: string;
      readonly stream: number;
      readonly from: number;
      readonly to: number;
      readonly reason: string;
      readonly atMs: number;
    }
  /** How far a stream went, by a chain head or the next start. */
  | {
      readonly kind: "head";
      readonly gateway: string;
      readonly epoch: string;
      readonly stream: number;
      readonly seq: number;
    }
  | {
      readonly kind: "clockSync";
      readonly gateway: string;
      readonly bootId: string;
      readonly bootMs: number;
      readonly wallMs: number;
      readonly source: string;
      readonly uncertaintyMs: number;
    };

export interface Incoming {
  readonly gateway: string;
  readonly batch: DecodedBatch;
  readonly records: readonly IncomingRecord[];
  readonly dead: readonly DeadLetter[];
  readonly told: readonly Told[];
}

type Body = Readonly<Record<string, unknown>>;

/** A longer line is no record: taking one apart may cost a hundred times its length in memory. */
const MOST_LINE_BYTES = 1_048_576;
/** What is deeper is too deep for those who walk through it: the embedded database does not survive it. */
const MOST_DEPTH = 100;
const MOST_INT = 2_147_483_647;
const MOST_STREAM = 255;
/** The year 9999: what is beyond can neither be shown nor reckoned with. */
const MOST_MS = 253_402_300_799_999;
const MOST_BOOT_MS = 1e14;
const KIND = /^[A-Za-z][A-Za-z0-9]{0,63}$/;

/** Takes a gateway's batch apart. A kind that is not known is kept like the others: the gateway may be newer. */
export function incoming(gateway: string, batch: DecodedBatch): Incoming {
  const { epoch, stream } = batch.header;
  const records: IncomingRecord[] = [];
  const dead: DeadLetter[] = [];
  const told: Told[] = [];
  for (const line of batch.lines) {
    const isLarge = line.bytes.byteLength > MOST_LINE_BYTES;
    const body = isLarge ? "it is too long" : bodyOf(line);
    if (typeof body === "string") {
      dead.push({ ...line, gateway, epoch, stream, reason: body, refusal: isLarge ? "tooLarge" : "schema" });
      continue;
    }
    const { seq, hash } = line;
    const kind = body["kind"] as string;
    records.push({
      ...{ gateway, epoch, stream, seq, kind, hash, body: line.body },
      agent: typeof body["agent"] === "string" ? storable(body["agent"]) : null,
      atMs: timeOf(body["decidedAt"] ?? body["at"] ?? body["startedAt"] ?? body["minute"]),
      bootMs: within(body["bootMs"], 0, MOST_BOOT_MS) ? (body["bootMs"] as number) : null,
    });
    if (stream === streams.safety) told.push(...toldBy(gateway, epoch, kind, body));
  }
  return { gateway, batch, records, dead, told };
}

/** The record, or why the line is none. */
function bodyOf(line: BatchLine): Body | string {
  // Bytes that are no UTF-8 would be stored as others than those that were hashed.
  if (!isUtf8(line.bytes)) return "it is no UTF-8";
  if (isDeeper(line.body, MOST_DEPTH)) return "it is nested too deep";
  let body: unknown;
  try {
    body = JSON.parse(line.body);
  } catch {
    return "it is no JSON";
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) return "it is no object";
  const { kind } = body as Body;
  return typeof kind === "string" && KIND.test(kind) ? (body as Body) : "it says no kind";
}

/** A database's text holds no NUL, though JSON may say one. The record's own text says it by an escape. */
export function storable(text: string): string {
  return text.replaceAll("\0", "\ufffd");
}

function within(value: unknown, from: number, to: number): boolean {
  return typeof value === "number" && value >= from && value <= to;
}

function timeOf(value: unknown): number | null {
  return within(value, 0, MOST_MS) ? Math.floor(value as number) : null;
}

/** What is said against its schema tells nothing; the record itself is kept all the same. */
function toldBy(gateway: string, epoch: string, kind: string, body: Body): Told[] {
  switch (kind) {
    case "epochStart":
      return startTold(gateway, epoch, body);
    case "drop":
      return dropTold(gateway, body);
    case "clockSync":
      return syncTold(gateway, body);
    case "chainHead":
    case "epochClose":
      return heads(gateway, epoch, body["heads"]);
    default:
      return [];
  }
}

function startTold(gateway: string, epoch: string, body: Body): Told[] {
  const start = epochStartSchema.safeParse(body);
  if (!start.success || start.data.epoch !== epoch) return [];
  const { ordinal, previous, bootId, fingerprint, startedAt, reason, previousHeads } = start.data;
  if (!within(ordinal, 1, MOST_INT) || !within(startedAt, 0, MOST_MS)) return [];
  const own: Told = {
    ...{ kind: "epochStart", gateway, epoch, ordinal, previous: previous ?? null, startedMs: startedAt, reason },
    ...{ bootId: storable(bootId), fingerprint: storable(fingerprint) },
  };
  return [own, ...(previous === undefined ? [] : heads(gateway, previous, previousHeads))];
}

function dropTold(gateway: string, body: Body): Told[] {
  const drop = dropSchema.safeParse(body);
  if (!drop.success) return [];
  const { epochId: epoch, stream, from, to, reason, at: atMs } = drop.data;
  if (from < 1 || to < from || !within(stream, 0, MOST_STREAM) || !within(atMs, 0, MOST_MS)) return [];
  return [{ kind: "drop", gateway, epoch, stream, from, to, reason, atMs }];
}

function syncTold(gateway: string, body: Body): Told[] {
  const sync = clockSyncSchema.safeParse(body);
  if (!sync.success) return [];
  const { bootId, bootMs, wallMs, source, uncertaintyMs } = sync.data;
  const isSane = within(bootMs, 0, MOST_BOOT_MS) && within(wallMs, 0, MOST_MS) && within(uncertaintyMs, 0, MOST_MS);
  return isSane
    ? [{ kind: "clockSync", gateway, bootId: storable(bootId), bootMs, wallMs, source, uncertaintyMs }]
    : [];
}

/** One for each stream, however long the list is. */
function heads(gateway: string, epoch: string, all: unknown): Told[] {
  if (!Array.isArray(all)) return [];
  const most = new Map<number, number>();
  for (const one of all as unknown[]) {
    const { stream, seq } = (one ?? {}) as { stream?: unknown; seq?: unknown };
    if (!Number.isSafeInteger(stream) || !Number.isSafeInteger(seq) || !within(stream, 0, MOST_STREAM)) continue;
    most.set(Number(stream), Math.max(Number(seq), most.get(Number(stream)) ?? 0));
  }
  return [...most].flatMap(([stream, seq]): Told[] => (seq > 0 ? [{ kind: "head", gateway, epoch, stream, seq }] : []));
}
