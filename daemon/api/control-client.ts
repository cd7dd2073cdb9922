import { mkdirSync, rmdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { claimsFolder } from "./claims.ts";
import { Connection, type Patience } from "./connection.ts";

interface Call {
  readonly dataDirectory: string;
  readonly verb: string;
  readonly parameters?: Record<string, unknown>;
  readonly onItem?: (item: unknown) => void;
  readonly signal?: AbortSignal;
}

/**
 * Asks the daemon of a data directory. Resolves with the result; `onItem` gets each line of a stream.
 * Throws NOT_RUNNING when nobody listens, SOCKET_PROTOCOL when the daemon is of another generation of the protocol.
 */
export async function callDaemon(call: Call): Promise<unknown> {
  const { dataDirectory, verb, parameters = {}, onItem, signal } = call;
  const connection = await Connection.open(dataDirectory);
  const leave = (): void => connection.close();
  signal?.addEventListener("abort", leave, { once: true });
  try {
    return await connection.ask({ verb, parameters }, onItem);
  } catch (error) {
    if (signal?.aborted === true) return null;
    throw error;
  } finally {
    connection.close();
  }
}

/**
 * Asks as the user who runs this process: the daemon names a path, and the directory that is made there is this user's.
 * Where none can be made, the daemon does not know who asks, and allows what anybody may.
 */
export async function callAsPerson(call: Omit<Call, "onItem" | "signal"> & Patience): Promise<unknown> {
  const { dataDirectory, verb, parameters = {} } = call;
  const connection = await Connection.open(dataDirectory, call);
  let made: string | undefined;
  try {
    const claim = await connection.ask({ verb: "claim" });
    made = makeClaim(dataDirectory, claim);
    return await connection.ask({ verb, parameters: made === undefined ? parameters : { ...parameters, claim } });
  } finally {
    connection.close();
    if (made !== undefined) removeClaim(made);
  }
}

function makeClaim(dataDirectory: string, named: unknown): string | undefined {
  if (typeof named !== "string" || !/^[0-9a-f]{32}$/.test(basename(named))) return undefined;
  // In the daemon's own folder, as this process sees it, and nowhere else.
  const path = join(resolve(claimsFolder(dataDirectory)), basename(named));
  try {
    mkdirSync(path, 0o700);
    return path;
  } catch {
    // A full disk, for one: then this user stays unknown.
    return undefined;
  }
}

function removeClaim(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // The daemon has removed it.
  }
}
