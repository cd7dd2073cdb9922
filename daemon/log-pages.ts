import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";
import { callDaemon } from "./api/control-client.ts";
import { DaemonError } from "./errors.ts";
import type { RestoredAction } from "./store/messages.ts";
import { type Page, type RecordFilter, recordById, recordPage, type StoredRow } from "./store/queries.ts";
import { recordsSchema } from "./store/schema.ts";
import { openForReading } from "./store/sqlite-reader.ts";
import { type ActionFilter, actionPage, actionsOfDecisions } from "./store/tables/action.ts";

/** Where pages of the log come from. */
export interface LogPages {
  page(filter: RecordFilter): Promise<Page>;
  byId(id: string): Promise<StoredRow | undefined>;
  actions(filter: ActionFilter): Promise<RestoredAction[]>;
  actionsOf(decisions: readonly string[]): Promise<RestoredAction[]>;
  close(): void;
}

/** Reads the file itself, whether the daemon runs or not; without the right to, asks the daemon. */
export function openLogPages(dataDirectory: string): LogPages {
  const path = join(dataDirectory, "records.db");
  if (isReadable(path)) return filePages(path);
  if (existsSync(path) || (existsSync(dataDirectory) && !isReadable(dataDirectory))) return daemonPages(dataDirectory);
  const hint = "Name the data directory with --data, or its configuration with --config.";
  throw new DaemonError("NO_DATA", { path }, { hint });
}

export function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function filePages(path: string): LogPages {
  const database = openForReading(path, recordsSchema);
  return {
    page: async (filter) => recordPage(database, filter),
    byId: async (id) => recordById(database, id),
    actions: async (filter) => actionPage(database, filter),
    actionsOf: async (decisions) => actionsOfDecisions(database, decisions),
    close: () => database.close(),
  };
}

/** By the control socket: for people who may talk to the daemon and not read its files. */
function daemonPages(dataDirectory: string): LogPages {
  return {
    page: async (filter) => (await callDaemon({ dataDirectory, verb: "page", parameters: { ...filter } })) as Page,
    byId: async (id) =>
      ((await callDaemon({ dataDirectory, verb: "record", parameters: { id } })) as StoredRow | null) ?? undefined,
    actions: async (filter) =>
      (await callDaemon({ dataDirectory, verb: "actions", parameters: { ...filter } })) as RestoredAction[],
    actionsOf: async (decisions) =>
      (await callDaemon({ dataDirectory, verb: "actionsOf", parameters: { decisions } })) as RestoredAction[],
    close: () => undefined,
  };
}
