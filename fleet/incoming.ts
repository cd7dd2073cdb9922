import { type BatchLine, type DecodedBatch, recordHash } from "../sync/batch.ts";
import { streams } from "../sync/kinds.ts";
import { clockSyncSchema, dropSchema, epochStartSchema } from "../sync/records.ts";

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

/** Takes a gateway's batch apart. A kind that is not known is kept like the others: the gateway may be newer. */
export function incoming(gateway: string, batch: DecodedBatch): Incoming {
  const { epoch, stream } = batch.header;
  const records: IncomingRecord[] = [];
  const dead: DeadLetter[] = [];
  const told: Told[] = [];
  for (const line of batch.lines) {
    const body = bodyOf(line);
    if (typeof body === "string") {
      dead.push({ ...line, gateway, epoch, stream, reason: body });
      continue;
    }
    const { seq, hash } = line;
    const kind = body["kind"] as string;
    records.push({
      ...{ gateway, epoch, stream, seq, kind, hash, body: line.body },
      agent: typeof body["agent"] === "string" ? body["agent"] : null,
      atMs: whole(body["decidedAt"] ?? body["at"] ?? body["startedAt"] ?? body["minute"]),
      bootMs: typeof body["bootMs"] === "number" ? body["bootMs"] : null,
    });
    if (stream === streams.safety) told.push(...toldBy(gateway, epoch, kind, body));
  }
  return { gateway, batch, records, dead, told };
}

/** The record, or why the line is none. */
function bodyOf(line: BatchLine): Body | string {
  // Bytes that are no UTF-8 would be stored as others than those that were hashed.
  if (!recordHash(line.body).equals(line.hash)) return "it is no UTF-8";
  if (line.body.includes("\u0000")) return "it has a NUL in it";
  let body: unknown;
  try {
    body = JSON.parse(line.body);
  } catch {
    return "it is no JSON";
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) return "it is no object";
  const { kind } = body as Body;
  if (typeof kind !== "string" || kind.length > 64) return "it says no kind";
  // PostgreSQL's JSON has no such character: the text could be stored, and never looked into.
  return line.body.includes("\\u0000") ? "it has a NUL in it" : (body as Body);
}

function whole(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(Math.floor(value)) ? Math.floor(value) : null;
}

/** What is said against its schema tells nothing; the record itself is kept all the same. */
function toldBy(gateway: string, epoch: string, kind: string, body: Body): Told[] {
  if (kind === "epochStart") {
    const start = epochStartSchema.safeParse(body);
    if (!start.success || start.data.epoch !== epoch) return [];
    const { ordinal, previous, bootId, fingerprint, startedAt, reason, previousHeads } = start.data;
    const own: Told = {
      ...{ kind, gateway, epoch, ordinal, previous: previous ?? null, bootId, fingerprint, reason },
      startedMs: startedAt,
    };
    return [own, ...(previous === undefined ? [] : heads(gateway, previous, previousHeads))];
  }
  if (kind === "drop") {
    const drop = dropSchema.safeParse(body);
    if (!drop.success || drop.data.to < drop.data.from || drop.data.from < 1) return [];
    const { epochId, stream, from, to, reason, at } = drop.data;
    return [{ kind, gateway, epoch: epochId, stream, from, to, reason, atMs: at }];
  }
  if (kind === "clockSync") {
    const sync = clockSyncSchema.safeParse(body);
    if (!sync.success) return [];
    const { bootId, bootMs, wallMs, source, uncertaintyMs } = sync.data;
    return [{ kind, gateway, bootId, bootMs, wallMs, source, uncertaintyMs }];
  }
  return kind === "chainHead" || kind === "epochClose" ? heads(gateway, epoch, body["heads"]) : [];
}

function heads(gateway: string, epoch: string, all: unknown): Told[] {
  if (!Array.isArray(all)) return [];
  return all.flatMap((one: unknown): Told[] => {
    const { stream, seq } = (one ?? {}) as { stream?: unknown; seq?: unknown };
    const isWhole =
      Number.isSafeInteger(stream) && Number.isSafeInteger(seq) && Number(stream) >= 0 && Number(stream) < 256;
    return isWhole && Number(seq) > 0
      ? [{ kind: "head", gateway, epoch, stream: Number(stream), seq: Number(seq) }]
      : [];
  });
}
