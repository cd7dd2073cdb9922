import type { Refusal } from "./api/as-person.ts";
import type { Clock } from "./clock.ts";
import type { LatchState } from "./latch.ts";
import type { Log } from "./log.ts";
import type { ModeChange } from "./modes.ts";
import type { Store } from "./store/store.ts";

const SAFETY = 0;
const MINUTE_MS = 60_000;
/** More refusals in a minute are only counted: somebody who may do nothing must not fill the log either. */
const REFUSALS_A_MINUTE = 600;

interface Deps {
  readonly store: Pick<Store, "append" | "commitNow">;
  readonly clock: Pick<Clock, "wallMs" | "bootMs">;
  readonly newId: (wallMs: number) => string;
  readonly log: Log;
}

export interface PeopleRecords {
  latch(state: LatchState): void;
  mode(change: ModeChange): void;
  refused(refusal: Refusal): void;
}

/** What people did to the gateway and what they were refused, as records of the stream that is never thinned out. */
export function createPeopleRecords({ store, clock, newId, log }: Deps): PeopleRecords {
  const write = (kind: "latch" | "mode" | "approval" | "health", body: Readonly<Record<string, unknown>>): void => {
    const wallMs = clock.wallMs();
    const id = newId(wallMs);
    const line = JSON.stringify({ v: 1, kind, id, ...body, at: body["at"] ?? wallMs });
    store.append({ stream: SAFETY, kind, agent: 0, id, wallMs, body: line });
    store.commitNow();
  };
  const counted = refusalCounter(() => clock.bootMs());
  return {
    latch({ latched, why, by, nonce, at }) {
      write("latch", { latched, why, by, nonce, at });
      const fields = { part: "latch", reason: why, person: by };
      if (latched) log.warn({ event: "latched", ...fields }, "effects are stopped");
      else log.warn({ event: "released", ...fields }, "effects may leave again");
    },
    mode({ scope, from, to, by }) {
      write("mode", { scope, from, to, by });
      log.info({ part: "modes", scope, from, to, person: by }, "mode changed");
    },
    refused({ by, verb, reason, asked }) {
      const skipped = counted();
      if (skipped === undefined) return;
      const { proposal, signature, ...detail } = asked;
      if (typeof proposal === "string") write("approval", { proposal, decision: "refused", by, reason, signature });
      else write("health", { what: "personRefused", detail: { by, verb, reason, skipped, ...detail } });
      log.warn({ part: "people", person: by, reason }, "a person was refused");
    },
  };
}

/** Says how many were left out since the last one; undefined when this one is to be left out too. */
function refusalCounter(nowMs: () => number): () => number | undefined {
  let minute = Number.NaN;
  let count = 0;
  let skipped = 0;
  return () => {
    const now = Math.floor(nowMs() / MINUTE_MS);
    if (now !== minute) count = 0;
    minute = now;
    count += 1;
    if (count > REFUSALS_A_MINUTE) {
      skipped += 1;
      return undefined;
    }
    const told = skipped;
    skipped = 0;
    return told;
  };
}
