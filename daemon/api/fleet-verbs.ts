import { z } from "zod";
import { SyncError } from "../../sync/errors.ts";
import { DaemonError } from "../errors.ts";
import type { FleetPart } from "../fleet/fleet-part.ts";
import { drainOf, type Outbox, outboxStreams } from "../fleet/outbox.ts";
import type { Reader } from "../store/reader.ts";
import { type AsPerson, demand } from "./as-person.ts";
import type { Verb } from "./control-server.ts";

interface Deps {
  readonly reader: Pick<Reader, "outbox">;
  readonly fleet: Pick<FleetPart, "state" | "filed"> | undefined;
}

export interface Acknowledged {
  /** Records that the fleet is now known to have. */
  readonly records: number;
  readonly refused: readonly { readonly line: number; readonly code: string }[];
}

const filedSchema = z.object({ lines: z.array(z.string().max(65_536)).max(1000) });

/** What commands may ask about the fleet. */
export function fleetVerbs({ reader, fleet }: Deps, asPerson: AsPerson): Readonly<Record<string, Verb>> {
  return {
    link: () => fleet?.state() ?? null,
    outbox: async (): Promise<Outbox> => {
      const state = fleet?.state();
      const streams = outboxStreams(await reader.outbox());
      const told = state === undefined ? null : { link: state.link.state, uplink: state.uplink.condition };
      return { streams, drain: drainOf(streams, state?.uplink), fleet: told };
    },
    acknowledge: asPerson("acknowledge", filedSchema, (person, { lines }): Acknowledged => {
      demand(person, "use");
      if (fleet === undefined) throw new DaemonError("NO_FLEET", {});
      return filed(lines, fleet);
    }),
  };
}

function filed(lines: readonly string[], fleet: Pick<FleetPart, "filed">): Acknowledged {
  let records = 0;
  const refused: { line: number; code: string }[] = [];
  for (const [at, line] of lines.entries()) {
    try {
      records += fleet.filed(line);
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      refused.push({ line: at + 1, code: error.code });
    }
  }
  return { records, refused };
}
