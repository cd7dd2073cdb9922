import { kindName, recordKinds } from "../../sync/kinds.ts";
import type { StreamHead } from "../../sync/records.ts";
import { bodyHash, HASH_BYTES } from "./heads.ts";
import type { LogRow } from "./log-source.ts";

interface Said {
  readonly id?: unknown;
  readonly kind?: unknown;
  readonly agent?: unknown;
  readonly heads?: readonly StreamHead[];
}

/** Whether the row's body is the one that was hashed. */
export function isWhole(row: LogRow): row is LogRow & { readonly body: string } {
  return typeof row.body === "string" && isHash(row.hash) && bodyHash(row.body).equals(row.hash);
}

export function isHash(value: unknown): value is Buffer {
  return Buffer.isBuffer(value) && value.length === HASH_BYTES;
}

export interface Wrong {
  readonly detail: string;
  /** Set when it is whole, and was written as another row of its stream. */
  readonly writtenAs?: number;
}

/** What of a row does not fit what it says of itself: each column is said in the body too, and the body is hashed. */
export function wrongIn(row: LogRow, agents: ReadonlyMap<number, string> | undefined): Wrong | undefined {
  if (!isHash(row.hash)) return { detail: "its hash is none" };
  // Left out of an export: the chain still vouches for its hash.
  if (row.body === undefined) return undefined;
  if (typeof row.body !== "string") return { detail: "its body is no text" };
  if (!isWhole(row)) return { detail: "its body does not fit its hash" };
  let said: Said;
  try {
    said = JSON.parse(row.body) as Said;
  } catch {
    return { detail: "its body is not JSON" };
  }
  const column = wrongColumn(row, said, agents);
  return column === undefined ? wrongPlace(row, said) : { detail: column };
}

function wrongColumn(row: LogRow, said: Said, agents: ReadonlyMap<number, string> | undefined): string | undefined {
  const kind = kindName(row.kind);
  const isKind = kind === undefined ? isUnknown(said.kind) : said.kind === kind;
  if (!isKind) return "its kind is another";
  const id = String(said.id).replaceAll("-", "");
  if (row.id !== undefined && !(Buffer.isBuffer(row.id) && row.id.toString("hex") === id)) return "its id is another";
  // RFC 9562, 5.7: an id of this kind begins with the time at which it was made, which is that of the row.
  if (row.wallMs !== undefined && id[12] === "7" && row.wallMs !== Number.parseInt(id.slice(0, 12), 16))
    return "its time is another";
  if (agents === undefined) return undefined;
  const agent = row.agent === 0 ? "" : agents.get(row.agent as number);
  return agent === (typeof said.agent === "string" ? said.agent : "") ? undefined : "its agent is another";
}

/** A kind of a newer version is one that this version has no number for. */
function isUnknown(kind: unknown): boolean {
  return typeof kind === "string" && !Object.hasOwn(recordKinds, kind);
}

function wrongPlace(row: LogRow, said: Said): Wrong | undefined {
  const writtenAs = writtenSeq(row, said);
  if (writtenAs === undefined || (writtenAs === row.seq && row.stream === 0)) return undefined;
  return { detail: `row ${row.seq} was written as row ${writtenAs} of its stream`, writtenAs };
}

/** Some records tell where they stand: the first of a start, and each that tells where the streams stand. */
function writtenSeq(row: LogRow, said: Said): number | undefined {
  if (row.kind === recordKinds.epochStart) return 1;
  if (row.kind !== recordKinds.chainHead && row.kind !== recordKinds.epochClose) return undefined;
  const own = Array.isArray(said.heads) ? said.heads.find((head) => head.stream === 0) : undefined;
  return own === undefined ? undefined : own.seq + 1;
}
