import type { Query } from "./database.ts";
import type { DeadLetter, IncomingRecord } from "./incoming.ts";

/** What is kept of one gateway at most, and of each line: a gateway that sends nonsense must not fill the disk. */
const MOST_OF_ONE = 10_000;
const MOST_BYTES = 65_536;

/** Keeps lines that are no records, as they came. */
export async function storeDeadLetters(
  query: Query,
  ids: ReadonlyMap<string, number>,
  dead: readonly DeadLetter[],
): Promise<void> {
  if (dead.length === 0) return;
  await query.query(
    `INSERT INTO dead_letter (gateway, epoch, stream, seq, hash, line, reason)
     SELECT g, decode(e, 'hex'), s, q, decode(h, 'hex'), decode(line, 'hex'), why
     FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::text[]) AS a(g, e, s, q, h, line, why)
     WHERE (SELECT count(*) FROM (SELECT 1 FROM dead_letter d WHERE d.gateway = g LIMIT ${MOST_OF_ONE}) AS held) < ${MOST_OF_ONE}
     ON CONFLICT DO NOTHING`,
    [
      ...placeColumns(ids, dead),
      dead.map((one) => one.bytes.subarray(0, MOST_BYTES).toString("hex")),
      dead.map((one) => one.reason),
    ],
  );
}

/** Keeps records whose place another one has. */
export async function storeConflicts(
  query: Query,
  ids: ReadonlyMap<string, number>,
  conflicts: readonly IncomingRecord[],
): Promise<void> {
  if (conflicts.length === 0) return;
  await query.query(
    `INSERT INTO conflict (gateway, epoch, stream, seq, hash, body)
     SELECT g, decode(e, 'hex'), s, q, decode(h, 'hex'), body
     FROM unnest($1::int[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[]) AS a(g, e, s, q, h, body)
     ON CONFLICT DO NOTHING`,
    [...placeColumns(ids, conflicts), conflicts.map((one) => one.body)],
  );
}

function placeColumns(
  ids: ReadonlyMap<string, number>,
  all: readonly Pick<IncomingRecord, "gateway" | "epoch" | "stream" | "seq" | "hash">[],
): unknown[] {
  return [
    all.map((one) => ids.get(one.gateway)),
    all.map((one) => one.epoch),
    all.map((one) => one.stream),
    all.map((one) => one.seq),
    all.map((one) => one.hash.toString("hex")),
  ];
}
