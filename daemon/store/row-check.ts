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

/** What of a row does not fit what it says of itself: each column is said in the body too, and the body is hashed. */
export function wrongIn(row: LogRow, agents: ReadonlyMap<number, string> | undefined): string | undefined {
  if (!isHash(row.hash)) return "its hash is none";
  // Left out of an export: the chain still vouches for its hash.
  if (row.body === undefined) return undefined;
  if (typeof row.body !== "string") return "its body is no text";
  if (!isWhole(row)) return "its body does not fit its hash";
  let said: Said;
  try {
    said = JSON.parse(row.body) as Said;
  } catch {
    return "its body is not JSON";
  }
  return wrongColumn(row, said, agents) ?? wrongPlace(row, said);
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

function wrongPlace(row: LogRow, said: Said): string | undefined {
  if (row.kind === recordKinds.epochStart && (row.stream !== 0 || row.seq !== 1))
    return "it is the first record of a start";
  if (row.kind !== recordKinds.chainHead && row.kind !== recordKinds.epochClose) return undefined;
  const own = Array.isArray(said.heads) ? said.heads.find((head) => head.stream === row.stream) : undefined;
  return own === undefined || own.seq === row.seq - 1
    ? undefined
    : `it was written as row ${own.seq + 1} of its stream`;
}
