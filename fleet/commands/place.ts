import { resolve } from "node:path";
import { loadFleetServer } from "../../config/fleet-server.ts";
import { askServer } from "../api/query-client.ts";
import { type Ask, askDatabase, socketPathOf } from "../api/questions.ts";
import { FleetConfigInvalid } from "../errors.ts";
import { takeBatches } from "../importing.ts";
import { collectorKey } from "../key.ts";
import { type FleetPlace, openDatabase, pgliteFolder } from "../open.ts";

export interface Where {
  readonly config?: string | undefined;
}

const USUAL_FILE = "holdfast-fleet.yaml";

export function placeOf({ config = USUAL_FILE }: Where): FleetPlace {
  const loaded = loadFleetServer(config);
  if (!loaded.ok) throw new FleetConfigInvalid(loaded.problems);
  return { config: loaded.config, baseDirectory: loaded.baseDirectory };
}

/** Asks the collector that has the embedded database open; else the database itself. */
export async function withFleet<T>(where: Where, work: (ask: Ask, place: FleetPlace) => Promise<T>): Promise<T> {
  const place = placeOf(where);
  const folder = pgliteFolder(place);
  const server = folder === undefined ? undefined : await askServer(socketPathOf(folder));
  if (server !== undefined) {
    try {
      return await work(server.ask, place);
    } finally {
      server.close();
    }
  }
  const database = await openDatabase(place);
  try {
    const { signer } = collectorKey(resolve(place.baseDirectory, place.config.keyFile));
    const ask = askDatabase(database, (batches) => takeBatches(database, signer, place.config.fleet, batches));
    return await work(ask, place);
  } finally {
    await database.close();
  }
}
