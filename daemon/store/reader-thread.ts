import { parentPort, workerData } from "node:worker_threads";
import type { BatchAsk } from "../../sync/uplink-log.ts";
import { StoreError, toFailure } from "./errors.ts";
import { counts, epochs, gaps, type RecordFilter, recordById, recordPage, totals } from "./queries.ts";
import { type FromReader, type Question, type ReaderStart, readerProtocol, type ToReader } from "./reader-messages.ts";
import { recordsSchema } from "./schema.ts";
import { openForReading, type ReadDatabase, translate } from "./sqlite-reader.ts";
import { type ActionFilter, actionPage, actionsOfDecisions } from "./tables/action.ts";
import { batchIn, headsIn, lifeIn, outboxIn, waitingIn } from "./uplink-queries.ts";

/** Each question is one short query: between two of them nothing of the database is held. */
const answers: Record<Question, (database: ReadDatabase, value: never) => unknown> = {
  page: (database, filter: RecordFilter) => recordPage(database, filter),
  byId: (database, id: string) => recordById(database, id),
  epochs: (database) => epochs(database),
  gaps: (database) => gaps(database),
  totals: (database) => totals(database),
  counts: (database) => counts(database),
  waiting: (database) => waitingIn(database),
  life: (database) => lifeIn(database),
  heads: (database) => headsIn(database),
  batch: (database, ask: BatchAsk) => batchIn(database, ask),
  outbox: (database) => outboxIn(database),
  actions: (database, filter: ActionFilter) => actionPage(database, filter),
  actionsOf: (database, ids: readonly string[]) => actionsOfDecisions(database, ids),
};

const port = parentPort;
if (port !== null) {
  const start = workerData as ReaderStart;
  let database: ReadDatabase | undefined;
  const say = (message: FromReader): void => port.postMessage(message);
  port.on("message", (message: ToReader) => {
    try {
      if (start.protocol !== readerProtocol) throw new StoreError("STORE_PROTOCOL", { asked: start.protocol });
      database ??= openForReading(start.path, recordsSchema);
      say({ kind: "answer", ask: message.ask, value: answers[message.question](database, message.value as never) });
    } catch (error) {
      say({ kind: "refused", ask: message.ask, failure: toFailure(translate(error, start.path)) });
    }
  });
  say({ kind: "hello", protocol: readerProtocol });
}
