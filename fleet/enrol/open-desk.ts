import { join } from "node:path";
import { requestFilter } from "../../sync/topics.ts";
import type { CollectorKey } from "../key.ts";
import type { Log } from "../log.ts";
import type { FleetPlace } from "../open.ts";
import { hasAuthority, readAuthority } from "./authority.ts";
import { CA_FOLDER } from "./init-fleet.ts";
import { Ledger } from "./ledger.ts";
import { EnrolResponder, type Reply } from "./responder.ts";

export interface Desk {
  readonly filter: string;
  /** Resolves when the next request may come. */
  heard(topic: string, payload: Uint8Array, publish: (reply: Reply) => void): Promise<void>;
}

/** Signs for gateways that ask over the broker; undefined where the CA's folder is not beside the fleet's file. */
export function openDesk({ config, baseDirectory }: FleetPlace, { signer }: CollectorKey, log: Log): Desk | undefined {
  const folder = join(baseDirectory, CA_FOLDER);
  if (!hasAuthority(folder)) return undefined;
  const authority = readAuthority(folder);
  const ledger = new Ledger(folder);
  const responder = new EnrolResponder({ authority, ledger, signer, log, nowMs: () => Date.now() }, config.fleet);
  return {
    filter: requestFilter(config.fleet),
    heard: async (topic, payload, publish) => {
      try {
        const reply = await responder.handle(topic, payload);
        if (reply !== undefined) publish(reply);
      } catch (err) {
        // A full disk, say: who asked asks again, and collecting goes on.
        log.error({ err }, "no certificate could be issued");
      }
    },
  };
}
