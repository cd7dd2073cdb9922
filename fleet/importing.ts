import { decodeBatch } from "../sync/batch.ts";
import type { Signer } from "../sync/signing.ts";
import type { Database } from "./database.ts";
import { incoming } from "./incoming.ts";
import { storeBatches } from "./storing.ts";
import { createVoice } from "./voice.ts";

/** A batch that was carried here as a file. */
export interface ImportBatch {
  readonly gateway: string;
  /** base64 */
  readonly payload: string;
}

/**
 * Stores batches that came as files, as if they had come over the broker, and gives the acknowledgements to be carried
 * back: what is in them is on disk. Throws SYNC_BATCH_INVALID for a file that is none.
 */
export async function takeBatches(
  database: Database,
  signer: Signer,
  fleet: string,
  batches: readonly ImportBatch[],
): Promise<string[]> {
  const taken = batches.map(({ gateway, payload }) => incoming(gateway, decodeBatch(Buffer.from(payload, "base64"))));
  if (taken.length === 0) return [];
  const { positions } = await storeBatches(database, taken);
  const sessions = new Map(taken.map(({ gateway, batch }) => [gateway, batch.header.session]));
  const voice = createVoice(fleet, signer, () => Date.now());
  return positions.map((one) => voice.acknowledge(one, sessions.get(one.gateway) ?? "", 0).payload);
}
