import type { Position } from "../../sync/messages.ts";
import type { UplinkLog } from "../../sync/uplink-log.ts";
import type { Clock } from "../clock.ts";
import type { Reader } from "../store/reader.ts";
import type { Store } from "../store/store.ts";

const SAFETY = 0;

interface Deps {
  readonly store: Pick<Store, "append" | "project">;
  readonly reader: Pick<Reader, "waiting" | "heads" | "batch">;
  readonly clock: Pick<Clock, "wallMs">;
  readonly newId: (wallMs: number) => string;
}

/** The log as the uplink needs it: read in the reader's thread, written with the next commit of whatever comes. */
export function uplinkLog({ store, reader, clock, newId }: Deps): UplinkLog {
  return {
    waiting: () => reader.waiting(),
    heads: () => reader.heads(),
    batch: (ask) => reader.batch(ask),
    acknowledged(ordinal, { stream, contiguous, ranges }: Position) {
      store.project({ kind: "acknowledged", epoch: ordinal, stream, contiguous, ranges: JSON.stringify(ranges) });
    },
    report(what, detail) {
      const at = Math.floor(clock.wallMs());
      const id = newId(at);
      const body = JSON.stringify({ v: 1, kind: "health", id, what, at, detail });
      store.append({ stream: SAFETY, kind: "health", agent: 0, id, wallMs: at, body });
    },
  };
}
