import { createPublicKey } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { type RecordKind, recordKinds, streams } from "../../sync/kinds.ts";
import { streamNames } from "../../sync/records.ts";
import { StoreError } from "../store/errors.ts";
import { type Keyring, keyringOf } from "../store/keyring.ts";
import type { LogRow, LogSource } from "../store/log-source.ts";
import { type VerifyResult, verifySource } from "../store/verify.ts";
import { EXPORT_KIND, type ExportHeader } from "./export.ts";

const CHUNK_BYTES = 1_048_576;
const WITNESSES: ReadonlySet<number> = new Set([
  recordKinds.chainHead,
  recordKinds.epochClose,
  recordKinds.epochStart,
  recordKinds.drop,
]);

export interface VerifyExportOptions {
  readonly path: string;
  /** Default: the keys that the export itself names. */
  readonly keyring?: Keyring | undefined;
  readonly progress?: ((done: number, total: number) => void) | undefined;
}

/** Recomputes the chains of an export from its hashes, and each hash whose body is there; no gateway is needed. */
export function verifyExport({ path, keyring, progress }: VerifyExportOptions): VerifyResult {
  const header = headerOf(path);
  const total = header.from === null || header.to === null ? 0 : header.to.n - header.from.n + 1;
  return verifySource(exportSource(path, header), { keyring: keyring ?? keyringOf(header.keys.map(keyOf)) }, (done) =>
    progress?.(Math.min(done, total), total),
  );
}

function exportSource(path: string, header: ExportHeader): LogSource {
  const rows = (): Generator<LogRow> => rowsOf(path);
  return {
    epochs: header.epochs,
    agents: undefined,
    lastN: header.to?.n ?? 0,
    starts: header.starts,
    drops: header.drops,
    *witnesses() {
      for (const row of rows()) if (row.stream === streams.safety && WITNESSES.has(row.kind)) yield row;
    },
    rows,
    find(epoch, stream, seq) {
      for (const row of rows()) if (row.epoch === epoch && row.stream === stream && row.seq === seq) return row.n;
      return undefined;
    },
  };
}

function headerOf(path: string): ExportHeader {
  const [line = ""] = linesOf(path);
  const header = parsed(line) as Partial<ExportHeader> | undefined;
  const isWhole = Array.isArray(header?.keys) && Array.isArray(header.epochs) && Array.isArray(header.starts);
  if (header?.kind === EXPORT_KIND && header.v === 1 && isWhole && Array.isArray(header.drops))
    return header as ExportHeader;
  const hint = "holdfast audit export writes such files.";
  throw new StoreError("STORE_EXPORT", { file: path, line: 1 }, { hint });
}

function keyOf(pem: string) {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new StoreError("STORE_EXPORT", { reason: "a public key in its first line is none" }, { cause });
  }
}

function* rowsOf(path: string): Generator<LogRow> {
  let number = 0;
  for (const line of linesOf(path)) {
    number += 1;
    if (number > 1) yield rowOf(line, path, number);
  }
}

interface Line {
  readonly n?: unknown;
  readonly epoch?: unknown;
  readonly stream?: unknown;
  readonly seq?: unknown;
  readonly kind?: unknown;
  readonly hash?: unknown;
  readonly redacted?: unknown;
}

const BODY = ',"body":';

function rowOf(line: string, path: string, number: number): LogRow {
  const told = parsed(line) as Line | undefined;
  if (typeof told?.n !== "number" || !line.includes(BODY) || !line.endsWith("}"))
    throw new StoreError("STORE_EXPORT", { file: path, line: number });
  // Not what JSON makes of it: numbers and the order of members come out of JSON otherwise than they went in.
  const body = line.slice(line.indexOf(BODY) + BODY.length, -1);
  const stream = (streamNames as readonly unknown[]).indexOf(told.stream);
  const kind = Object.hasOwn(recordKinds, String(told.kind)) ? recordKinds[told.kind as RecordKind] : told.kind;
  return {
    n: told.n,
    epoch: told.epoch as number,
    stream: stream < 0 ? (told.stream as number) : stream,
    seq: told.seq as number,
    kind: kind as number,
    hash: typeof told.hash === "string" ? Buffer.from(told.hash, "hex") : undefined,
    body: told.redacted === true ? undefined : body,
  };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // No line of an export: the caller says where.
    return undefined;
  }
}

/** Lines of a file of any size. */
function* linesOf(path: string): Generator<string> {
  const file = openFile(path);
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let rest = Buffer.alloc(0);
    for (;;) {
      const bytes = readSync(file, chunk, 0, CHUNK_BYTES, null);
      if (bytes === 0) break;
      let data = Buffer.concat([rest, chunk.subarray(0, bytes)]);
      for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
        yield data.toString("utf8", 0, end);
        data = data.subarray(end + 1);
      }
      rest = Buffer.from(data);
    }
    if (rest.length > 0) yield rest.toString("utf8");
  } finally {
    closeSync(file);
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    throw new StoreError("STORE_EXPORT", { file: path }, { cause });
  }
}
