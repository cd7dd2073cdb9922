import { join } from "node:path";
import { recordPage } from "../../daemon/store/queries.ts";
import { recordsSchema } from "../../daemon/store/schema.ts";
import { openForReading } from "../../daemon/store/sqlite-reader.ts";
import type { RecordKind } from "../../sync/kinds.ts";
import type { Intent } from "../../sync/records.ts";

/** The bodies of all records of some kinds in the order in which they were written, a page at a time. */
export function* eachRecord(data: string, kinds: readonly RecordKind[]): Generator<Record<string, unknown>> {
  const database = openForReading(join(data, "records.db"), recordsSchema);
  try {
    let afterN: number | undefined;
    do {
      const page = recordPage(database, { kinds, afterN, limit: 500, newestFirst: false });
      for (const { body } of page.rows) yield JSON.parse(body) as Record<string, unknown>;
      afterN = page.next;
    } while (afterN !== undefined);
  } finally {
    database.close();
  }
}

/** All intents of a log by their idempotency keys. */
export function intentsIn(data: string): Map<string, Intent> {
  const intents = new Map<string, Intent>();
  for (const body of eachRecord(data, ["intent"])) intents.set(String(body["idempotencyKey"]), body as Intent);
  return intents;
}
