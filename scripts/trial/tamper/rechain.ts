import type Sqlite from "better-sqlite3";
import { bodyHash, firstChain, nextChain, placesDigest } from "../../../daemon/store/heads.ts";
import { recordKinds } from "../../../sync/kinds.ts";
import type { StreamHead } from "../../../sync/records.ts";
import { type Signer, signedText } from "../../../sync/signing.ts";
import { stranger, unsigned } from "./tools.ts";

/** What becomes of signatures: they stay though they do not fit, are left out, or are somebody else's. */
export type Signing = "keep" | "strip" | "stranger";

interface Row {
  readonly n: number;
  readonly epoch: number;
  readonly stream: number;
  readonly seq: number;
  readonly kind: number;
  readonly body: string;
}

/**
 * Computes every hash, chain, head and start again from the rows as they are, from one start on: the log then fits
 * itself, but for its signatures. Rows that retention dropped are taken as they were told.
 */
export function rechain(database: Sqlite.Database, signing: Signing, fromEpoch = 1, signer: Signer = stranger): void {
  const put = database.prepare("UPDATE record SET body = ?, hash = ? WHERE n = ?");
  const rows = database.prepare("SELECT n, epoch, stream, seq, kind, body FROM record ORDER BY n").all() as Row[];
  const drops = dropsIn(rows);
  let chains = new Map<number, { seq: number; chain: Buffer }>();
  let places = new Map<number, number[]>();
  let startN = 0;
  let epoch = 0;
  for (const row of rows) {
    const before = chains;
    if (row.epoch !== epoch) {
      chains = new Map();
      places = new Map();
      startN = row.n;
      epoch = row.epoch;
    }
    const body = row.epoch < fromEpoch ? row.body : rewritten(row, chains, before, places, signing, signer);
    if (body !== row.body) put.run(body, bodyHash(body), row.n);
    if (row.kind === recordKinds.chainHead || row.kind === recordKinds.epochClose) places = new Map();
    places.set(row.stream, [...(places.get(row.stream) ?? []), row.n - startN]);
    const dropped = drops.get(`${row.epoch}/${row.stream}`);
    const start = dropped !== undefined && dropped.seq === row.seq - 1 ? dropped : { seq: 0, chain: firstChain() };
    const chain = nextChain((chains.get(row.stream) ?? start).chain, bodyHash(body));
    chains.set(row.stream, { seq: row.seq, chain });
  }
}

function rewritten(
  row: Row,
  chains: ReadonlyMap<number, { seq: number; chain: Buffer }>,
  before: ReadonlyMap<number, { seq: number; chain: Buffer }>,
  places: ReadonlyMap<number, readonly number[]>,
  signing: Signing,
  signer: Signer,
): string {
  const isStart = row.kind === recordKinds.epochStart;
  if (!isStart && row.kind !== recordKinds.chainHead && row.kind !== recordKinds.epochClose) return row.body;
  const said = JSON.parse(row.body) as { heads?: StreamHead[]; previousHeads?: StreamHead[] };
  const now = (heads: readonly StreamHead[] | undefined, of: typeof chains): StreamHead[] =>
    (heads ?? []).map((head) => {
      const one = of.get(head.stream);
      return one === undefined ? head : { ...head, seq: one.seq, chain: one.chain.toString("hex") };
    });
  if (isStart) said.previousHeads = now(said.previousHeads, before);
  else said.heads = now(said.heads, chains).map((head) => replaced(head, places.get(head.stream)));
  if (signing === "keep") return JSON.stringify(said);
  const bare = unsigned(JSON.stringify(said));
  return signing === "strip" ? JSON.stringify(bare) : signedText(bare, signer);
}

function replaced(head: StreamHead, places: readonly number[] | undefined): StreamHead {
  const { places: _, ...rest } = head;
  return places === undefined ? rest : { ...rest, places: placesDigest(places) };
}

/** The chain value after the last row of each stream that was dropped. */
function dropsIn(rows: readonly Row[]): Map<string, { seq: number; chain: Buffer }> {
  const found = new Map<string, { seq: number; chain: Buffer }>();
  for (const { kind, body } of rows) {
    if (kind !== recordKinds.drop) continue;
    const { epoch, stream, to, chainAfter } = JSON.parse(body) as {
      epoch: number;
      stream: number;
      to: number;
      chainAfter: string | null;
    };
    const chain = Buffer.from(chainAfter ?? "", "hex");
    const known = found.get(`${epoch}/${stream}`);
    if (known === undefined || known.seq < to) found.set(`${epoch}/${stream}`, { seq: to, chain });
  }
  return found;
}
