import { z } from "zod";
import { SyncError } from "./errors.ts";
import { streams } from "./kinds.ts";

/** The version of the wire. Both ends speak this and the one before. */
export const wireVersion = 1;
/** The largest batch, compressed: with its topic it fits brokers that take 128 KB. */
export const MOST_BATCH_BYTES = 98_304;
export const MOST_BATCH_RECORDS = 250;
/** What is not a batch: hello, welcome, acknowledgements, commands. */
export const MOST_MESSAGE_BYTES = 65_536;

/** Only the members with a name: a loose schema also has "any other". */
type Named<T> = { [K in keyof T as string extends K ? never : K]: T[K] };

const hex16 = z.string().regex(/^[0-9a-f]{16}$/);
const seq = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const stream = z.number().int().min(0).max(255);
/** From and to, both included. */
const range = z.tuple([seq, seq]).refine(([from, to]) => from <= to, "a range that ends before it begins");
export type SeqRange = readonly [number, number];

/** The gateway's clocks when it wrote this. `trust`: how far the wall clock can be believed. */
const clock = z.object({
  bootId: z.string().max(64),
  bootMs: z.number(),
  wallMs: z.number().int(),
  trust: z.string().max(16),
});
export type ClockReading = z.infer<typeof clock>;

/** The first line of a batch. The lines that follow are the records lo to hi without `dropped`, in order. */
export const batchHeaderSchema = z.looseObject({
  v: z.literal(wireVersion),
  kind: z.literal("batch"),
  /** The hello that this connection began with; acknowledgements name it. */
  session: hex16,
  epoch: hex16,
  /** The number of the start of the daemon that `epoch` names. */
  ordinal: z.number().int().min(1),
  stream,
  lo: seq,
  hi: seq,
  /** Seqs between lo and hi that are not in the log any more; drop records tell why. */
  dropped: z.array(range).max(1000),
  clock,
  /** Back-fill: written before this connection. */
  hist: z.literal(true).optional(),
});
export type BatchHeader = Named<z.infer<typeof batchHeaderSchema>>;

const span = z.object({ epoch: hex16, ordinal: z.number().int().min(1), stream, lo: seq, hi: seq });
/** Rows of one stream of one start that wait to be acknowledged. */
export type Span = z.infer<typeof span>;

/** The first message of a connection. */
export const helloSchema = z.looseObject({
  v: z.literal(wireVersion),
  kind: z.literal("hello"),
  /** The oldest and the newest version of the wire that the gateway speaks. */
  protocol: z.tuple([z.number().int(), z.number().int()]),
  session: hex16,
  software: z.string().max(64),
  epoch: hex16,
  ordinal: z.number().int().min(1),
  clock,
  /** What waits, the newest starts first; cut off where there are many. */
  waiting: z.array(span).max(512),
});
export type Hello = Named<z.infer<typeof helloSchema>>;

const position = z.object({
  epoch: hex16,
  stream,
  /** All up to here is stored or known to be dropped; 0: nothing. */
  contiguous: count,
  /** What is stored beyond, in order. */
  ranges: z.array(range).max(256),
});
export type Position = z.infer<typeof position>;

/** Records that the fleet will never store, and why. `conflict`: kept aside, since another record has this place. */
const refused = z.object({ from: seq, to: seq, reason: z.enum(["schema", "conflict", "tooLarge"]) });
export type Refused = z.infer<typeof refused>;

const answerOf = {
  v: z.literal(wireVersion),
  fleet: z.string(),
  gateway: z.string(),
  session: hex16,
  now: z.number().int(),
};
/** With what a collector signs: Ed25519 over the text without its last member, `signature` (see signing.ts). */
const signature = { key: hex16.optional(), signature: z.string().max(256).optional() };

/** Sent only after the COMMIT. */
export const acknowledgementSchema = z.looseObject({
  ...answerOf,
  kind: z.literal("ack"),
  ...position.shape,
  refused: z.array(refused).max(256).optional(),
  /** How long the gateway should wait before its next batch, in milliseconds: the collector is busy. */
  slowMs: z.number().int().min(0).max(600_000).optional(),
  ...signature,
});
export type Acknowledgement = Named<z.infer<typeof acknowledgementSchema>>;

/** The answer to a hello. */
export const welcomeSchema = z.looseObject({
  ...answerOf,
  kind: z.literal("welcome"),
  protocol: z.number().int(),
  /** Of each span of the hello: what of it is stored. */
  positions: z.array(position).max(512),
  ...signature,
});
export type Welcome = Named<z.infer<typeof welcomeSchema>>;

/** What the fleet misses, asked for on `down/backfill`. */
export const backfillSchema = z.looseObject({
  ...answerOf,
  kind: z.literal("backfill"),
  epoch: hex16,
  stream,
  ranges: z.array(range).min(1).max(32),
  ...signature,
});
export type Backfill = Named<z.infer<typeof backfillSchema>>;

/** The retained document of a gateway, and its last will. */
export const stateSchema = z.looseObject({
  v: z.literal(wireVersion),
  kind: z.literal("state"),
  state: z.enum(["ready", "stopped", "lost"]),
  session: hex16,
  software: z.string().max(64),
  at: z.number().int(),
});
export type StateDocument = Named<z.infer<typeof stateSchema>>;

/** Reads a message of one kind; what it can not be is an error with the reason. */
export function readMessage<T extends z.ZodType>(schema: T, payload: Uint8Array): z.infer<T> {
  if (payload.byteLength > MOST_MESSAGE_BYTES)
    throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "it is too large", bytes: payload.byteLength });
  return checked(schema, parsed(payload));
}

export function checked<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new SyncError("SYNC_MESSAGE_INVALID", { at: issue?.path.join(".") ?? "", reason: issue?.message ?? "" });
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch (cause) {
    throw new SyncError("SYNC_MESSAGE_INVALID", { reason: "it is no JSON in UTF-8" }, { cause });
  }
}

/** Streams by name, as topics say them. */
export const streamOfTopic: ReadonlyMap<string, number> = new Map(Object.entries(streams));
