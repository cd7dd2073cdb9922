import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";
import { keyId, signedText, signerOf } from "../../../sync/signing.ts";
import { gatewayTopics } from "../../../sync/topics.ts";
import type { Knowledge } from "./knowledge.ts";

export interface Hostile {
  readonly topic: string;
  readonly payload: Buffer | string;
  readonly retain?: boolean;
}

/** Makes the next message of its kind; undefined: not before more is known. */
export type Attack = (n: number, known: Knowledge) => Hostile | undefined;

/** What the broker lets through: a packet of its configuration, less the topic and the header. */
const LARGEST_BYTES = 262_144 - 256;
const MOST_MESSAGE_BYTES = 65_536;

const pair = generateKeyPairSync("ed25519");
/** A key that no gateway knows. */
const stranger = signerOf(pair.privateKey, pair.publicKey);
const FLEET_KEY = /"key":"([0-9a-f]{16})"/;

/** An answer as a collector's, with the attacker's own signature, one that is none under the fleet's key, or none at all. */
function said(known: Knowledge, n: number, kind: string, rest: object): string {
  const head = { v: 1, kind, fleet: "north", gateway: "plant-7", session: known.session, now: Date.now() };
  const body = { ...head, ...rest };
  if (n % 3 === 0) return signedText(body, stranger);
  if (n % 3 === 1) return JSON.stringify(body);
  const key = FLEET_KEY.exec(String(known.answers[0] ?? ""))?.[1] ?? keyId(pair.publicKey);
  return signedText(body, { key, sign: () => randomBytes(64).toString("base64") });
}

function acknowledgement(known: Knowledge, n: number, rest: object): Hostile {
  const stream = n % 4;
  const position = { epoch: known.epoch, stream, contiguous: 1, ranges: [] };
  return { topic: known.topics.acknowledgement, payload: said(known, n, "ack", { ...position, ...rest }) };
}

const never: readonly object[] = [
  { contiguous: 9_000_000 },
  { contiguous: Number.MAX_SAFE_INTEGER },
  { contiguous: -1 },
  { contiguous: 1.5 },
  { contiguous: 1e308 },
  { contiguous: "1" },
  { contiguous: null },
  { ranges: [[5, 2]] },
  { ranges: [[-10, -1]] },
  { ranges: [[1, Number.MAX_SAFE_INTEGER]] },
  { ranges: Array.from({ length: 256 }, (_, at) => [1e9 + at * 3, 1e9 + at * 3 + 1]) },
  {
    ranges: [
      [1, 9_000_000],
      [1, 2],
    ],
  },
  { ranges: Array.from({ length: 5000 }, () => [1, 2]) },
  { stream: 99 },
  { stream: -1 },
  { epoch: "ffffffffffffffff" },
  { epoch: "../../etc/passwd" },
  { session: "ffffffffffffffff" },
  { gateway: "plant-8" },
  { fleet: "south" },
  { now: -1 },
  { now: 1e15 },
  { slowMs: 1e9 },
  { slowMs: -5 },
  { v: 2 },
  { kind: "toString" },
  { __proto__x: 1, constructor: { prototype: { polluted: true } } },
];

function command(known: Knowledge, n: number): Hostile {
  const now = Date.now();
  const verbs = ["stop", "mode", "switch", "approve", "deny", "release", "constructor", "reload"];
  const body = {
    ...{ v: 1, kind: "command", fleet: "north", gateway: "plant-7", id: randomUUID(), issuedAt: now },
    ...{
      expiresAt: now + 60_000,
      verb: verbs[n % verbs.length],
      arguments: { why: "attack", scope: "gateway", mode: "off" },
    },
    ...(n % 2 === 0 ? {} : { person: "maria" }),
  };
  const key = FLEET_KEY.exec(String(known.answers[0] ?? ""))?.[1] ?? stranger.key;
  const signer = n % 3 === 0 ? stranger : { key, sign: () => randomBytes(64).toString("base64") };
  return { topic: known.topics.command, payload: n % 5 === 4 ? JSON.stringify(body) : signedText(body, signer) };
}

function again(list: readonly Buffer[], n: number, topic: string, retain = false): Hostile | undefined {
  const payload = list[n % Math.max(1, list.length)];
  return payload === undefined ? undefined : { topic, payload, retain };
}

/** Changed in one place after it was signed. */
function bent(payload: Buffer | undefined, n: number): Buffer | undefined {
  if (payload === undefined) return undefined;
  const copy = Buffer.from(payload);
  const at = n % copy.length;
  copy[at] = (copy[at] ?? 0) ^ (1 << (n % 7));
  return copy;
}

/** Of these thousands a second. */
export const small: Readonly<Record<string, Attack>> = {
  noise: (n, { topics }) => ({
    topic: [topics.acknowledgement, topics.command, topics.backfill][n % 3] ?? "",
    payload: randomBytes(1 + (n % 1500)),
  }),
  empty: (n, { topics }) => ({ topic: [topics.acknowledgement, topics.command][n % 2] ?? "", payload: "" }),
  neverSent: (n, known) => acknowledgement(known, n, never[n % never.length] ?? {}),
  allOfIt: (n, known) => acknowledgement(known, n, { contiguous: known.highest[n % 4] }),
  refused: (n, known) => {
    const hi = known.highest[n % 4] ?? 1;
    const refused = Array.from({ length: 256 }, (_, at) => ({ from: 1 + at, to: hi + at * 7, reason: "schema" }));
    return acknowledgement(known, n, { contiguous: 0, refused: refused.slice(0, 1 + (n % 256)) });
  },
  slow: (n, known) => acknowledgement(known, n, { contiguous: 0, slowMs: 2000 }),
  welcome: (n, known) => {
    const now = Date.now() + ((n % 200) - 100) * 86_400_000;
    const positions = [0, 1, 2, 3].map((stream) => ({
      epoch: known.epoch,
      stream,
      contiguous: known.highest[stream],
      ranges: [],
    }));
    return { topic: known.topics.acknowledgement, payload: said(known, n, "welcome", { now, protocol: 1, positions }) };
  },
  backfill: (n, known) => {
    const ranges = Array.from({ length: 32 }, () => [1, known.highest[n % 4]]);
    return {
      topic: known.topics.backfill,
      payload: said(known, n, "backfill", { epoch: known.epoch, stream: n % 4, ranges }),
    };
  },
  command: (n, known) => command(known, n),
  commandAgain: (n, known) => again(known.commands, n, known.topics.command),
  commandBent: (n, known) => {
    const payload = bent(known.commands[n % Math.max(1, known.commands.length)], n);
    return payload === undefined ? undefined : { topic: known.topics.command, payload };
  },
  commandKept: (n, known) =>
    n % 2 === 0 ? again(known.commands, n, known.topics.command, true) : { ...command(known, n), retain: true },
  answerAgain: (n, known) => again(known.answers, n, known.topics.acknowledgement),
  answerBent: (n, known) => {
    const payload = bent(known.answers[n % Math.max(1, known.answers.length)], n);
    return payload === undefined ? undefined : { topic: known.topics.acknowledgement, payload };
  },
  state: (n, { topics }) => ({
    topic: topics.state,
    payload: JSON.stringify({
      v: 1,
      kind: "state",
      state: "ready",
      session: randomBytes(8).toString("hex"),
      software: "9",
      at: n,
    }),
    retain: n % 2 === 0,
  }),
  certificate: (n, known) => ({
    topic: known.topics.certificate,
    payload: said(known, n, "certificate", {
      for: randomBytes(32).toString("hex"),
      certificate: "-----BEGIN CERTIFICATE-----",
    }),
  }),
  others: (n, known) => {
    const other = gatewayTopics("north", "plant-8");
    const topics = [other.acknowledgement, other.command, `${known.topics.command}/x`, known.topics.desired];
    return { ...command(known, n), topic: topics[n % topics.length] ?? "" };
  },
};

const deep = (bytes: number): string => "[".repeat(bytes);
const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
const bomb = gzipSync(Buffer.alloc(64 * 1_048_576, 32), { level: 9 });
const zstdBomb = zstandardOf(1000);
const long = (known: Knowledge, bytes: number): string =>
  `{"v":1,"session":"${known.session}","x":"${"x".repeat(bytes)}"}`;
const unsigned = ',"key":"0011223344556677","signature":"AAAA"}';

/** Of these some tens a second, since each is large or dear to read. */
export const large: Readonly<Record<string, Attack>> = {
  largest: (n, { topics }) => ({
    topic: everyTopic(topics, n),
    payload: Buffer.alloc(LARGEST_BYTES, n % 2 === 0 ? 0x5b : 0x20),
  }),
  deep: (n, { topics }) => ({ topic: everyTopic(topics, n), payload: deep(MOST_MESSAGE_BYTES - 1) }),
  nested: (n, { topics }) => ({ topic: everyTopic(topics, n), payload: nested(10_000).slice(0, -1) + unsigned }),
  gzip: (n, { topics }) => ({ topic: everyTopic(topics, n), payload: bomb }),
  zstd: (n, { topics }) => ({ topic: everyTopic(topics, n), payload: zstdBomb }),
  long: (n, known) => ({ topic: everyTopic(known.topics, n), payload: long(known, MOST_MESSAGE_BYTES - 100) }),
  ranges: (n, known) =>
    acknowledgement(known, n, {
      contiguous: 0,
      ranges: Array.from({ length: 256 }, (_, at) => [2 + at * 2, 2 + at * 2]),
      refused: Array.from({ length: 256 }, (_, at) => ({ from: 1 + at * 2, to: 1 + at * 2, reason: "conflict" })),
    }),
  longCommand: (n, known) => {
    const { payload } = command(known, n * 5);
    return { topic: known.topics.command, payload: String(payload).replace('"attack"', `"${"x".repeat(60_000)}"`) };
  },
};

function everyTopic(topics: Knowledge["topics"], n: number): string {
  return [topics.acknowledgement, topics.command, topics.backfill, topics.certificate, topics.state][n % 5] ?? "";
}

/** A frame of Zstandard (RFC 8878) of blocks that repeat one byte: some kilobytes that say more than a hundred megabytes. */
function zstandardOf(blocks: number): Buffer {
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88]);
  const parts = Array.from({ length: blocks }, (_, at) => {
    const block = Buffer.alloc(4, 0x20);
    block.writeUIntLE((131_072 << 3) | (1 << 1) | (at === blocks - 1 ? 1 : 0), 0, 3);
    return block;
  });
  return Buffer.concat([head, ...parts]);
}
