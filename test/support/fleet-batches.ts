import { encodeBatch } from "../../sync/batch.ts";
import type { BatchHeader } from "../../sync/messages.ts";

export const SESSION = "0011223344556677";
export const EPOCH = "90ab12cd34ef5678";
const ID = "01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e";

/** A batch as a gateway sends it. */
export function packed(
  lines: readonly (string | object)[],
  header: Partial<BatchHeader> & { readonly lo?: number } = {},
): Buffer {
  const texts = lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line)));
  const lo = header.lo ?? 1;
  return encodeBatch(
    {
      ...{ v: 1, kind: "batch", session: SESSION, epoch: EPOCH, ordinal: 2, stream: 1, lo, hi: lo + texts.length - 1 },
      ...{ dropped: [], clock: { bootId: "b", bootMs: 1, wallMs: 2, trust: "synced" } },
      ...header,
    },
    texts,
  );
}

export function decision(n: number, more: object = {}): object {
  return { v: 1, kind: "decision", id: ID, agent: "a", key: `k${n}`, decidedAt: 1000 + n, bootMs: n, n, ...more };
}

export function drop(more: object = {}): object {
  return {
    ...{ v: 1, kind: "drop", id: ID, epoch: 2, epochId: EPOCH, stream: 1, from: 1, to: 2, rows: 2, bytes: 9 },
    ...{ chainBefore: null, chainAfter: null, reason: "size", at: 5, ...more },
  };
}

export function epochStart(more: object = {}): object {
  return {
    ...{ v: 1, kind: "epochStart", id: ID, epoch: EPOCH, ordinal: 2, previousHeads: [], bootId: "boot-2" },
    ...{ fingerprint: "f", startedAt: 5, startedBootMs: 1, reason: "clean", notes: [], ...more },
  };
}

export function clockSync(more: object = {}): object {
  return {
    ...{ v: 1, kind: "clockSync", id: ID, bootId: "boot-2", bootMs: 10_000, wallMs: 1_795_843_906_000 },
    ...{ source: "fleet", uncertaintyMs: 5, at: 5, ...more },
  };
}

export function hello(more: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      ...{ v: 1, kind: "hello", protocol: [1, 1], session: SESSION, software: "0.1.0", epoch: EPOCH, ordinal: 2 },
      ...{ clock: { bootId: "b", bootMs: 1, wallMs: 2, trust: "synced" }, waiting: [], ...more },
    }),
  );
}
