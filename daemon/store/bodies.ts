import type { ChainHead, Drop, EpochClose, EpochStart, Health, Rollup, StreamHead } from "../../sync/records.ts";
import { type Signer, signedText } from "../../sync/signing.ts";
import type { WriterStart } from "./messages.ts";
import type { Opening } from "./opening.ts";
import type { EndedMinute } from "./tables/tally.ts";

// The lines that the store itself writes; their schemas are in sync/records.ts.

export function epochStartBody(id: string, opening: Opening, start: WriterStart): string {
  const body: EpochStart = {
    v: 1,
    kind: "epochStart",
    id,
    epoch: opening.id,
    ordinal: opening.ordinal,
    ...(opening.previous === undefined ? {} : { previous: opening.previous }),
    previousHeads: opening.previousHeads,
    bootId: start.bootId,
    fingerprint: start.fingerprint,
    startedAt: Math.floor(start.wallMs),
    startedBootMs: Math.floor(start.bootMs),
    reason: opening.reason,
    ...(opening.gap === undefined ? {} : { gap: opening.gap }),
    notes: opening.notes,
  };
  return signedText(body, opening.signer);
}

export function headsBody(
  kind: "chainHead" | "epochClose",
  id: string,
  ordinal: number,
  heads: StreamHead[],
  wallMs: number,
  signer: Signer | undefined,
): string {
  const body: ChainHead | EpochClose = { v: 1, kind, id, ordinal, heads, at: Math.floor(wallMs) };
  return signedText(body, signer);
}

export function rollupBody(id: string, agent: string, ended: EndedMinute): string {
  const body: Rollup = {
    v: 1,
    kind: "rollup",
    id,
    agent,
    minute: ended.minute,
    counters: ended.counters,
    ...(ended.firstN === 0 ? {} : { firstN: ended.firstN, lastN: ended.lastN }),
  };
  return JSON.stringify(body);
}

export function healthBody(id: string, what: string, wallMs: number, detail: Record<string, unknown>): string {
  const body: Health = { v: 1, kind: "health", id, what, at: Math.floor(wallMs), detail };
  return JSON.stringify(body);
}

export function dropBody(id: string, drop: Omit<Drop, "v" | "kind" | "id">): string {
  return JSON.stringify({ v: 1, kind: "drop", id, ...drop });
}
