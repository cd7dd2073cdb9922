import type { EpochStart } from "../../sync/records.ts";
import type { Finding } from "./damage.ts";
import type { Evidence } from "./evidence.ts";
import type { LogEpoch, LogSource } from "./log-source.ts";

/** The first and the last row of a start. */
export interface Extent {
  readonly firstN: number;
  lastN: number;
}

/** The table of starts, against what each start says of itself and of the one before. */
export function checkEpochs(source: LogSource, evidence: Evidence, extents: ReadonlyMap<number, Extent>): Finding[] {
  const isPart = source.starts !== undefined;
  let lastN = 0;
  return source.epochs.flatMap((epoch, at) => {
    const afterN = lastN;
    lastN = extents.get(epoch.ordinal)?.lastN ?? lastN;
    const start = evidence.starts.get(epoch.ordinal);
    if (start === undefined) {
      const wasLost = evidence.wasSalvaged(epoch.ordinal) && !evidence.knowsOf(epoch.ordinal);
      if (isPart || wasLost || extents.has(epoch.ordinal)) return [];
      return [missing(epoch.ordinal, afterN, "no record of this start is there")];
    }
    const { n, body } = start;
    const column = otherColumn(epoch, body);
    const edited: Finding = {
      ...place(epoch.ordinal, n),
      what: "edited",
      detail: `the table of starts has another ${column}`,
    };
    const found = isPart && at === 0 ? undefined : wrongPredecessor(source.epochs, at, body, afterN, extents);
    return [...(column === undefined ? [] : [edited]), ...(found === undefined ? [] : [found])];
  });
}

function otherColumn(epoch: LogEpoch, body: EpochStart): string | undefined {
  const said: LogEpoch = {
    ordinal: body.ordinal,
    id: body.epoch,
    previous: body.previous ?? null,
    bootId: body.bootId,
    fingerprint: body.fingerprint,
    startedWallMs: body.startedAt,
    startedBootMs: body.startedBootMs,
    reason: body.reason,
  };
  const names = Object.keys(said) as (keyof LogEpoch)[];
  return names.find((name) => epoch[name] !== undefined && epoch[name] !== said[name]);
}

/** A start names the one before it, and where its streams ended. */
function wrongPredecessor(
  epochs: readonly LogEpoch[],
  at: number,
  body: EpochStart,
  afterN: number,
  extents: ReadonlyMap<number, Extent>,
): Finding | undefined {
  const before = epochs[at - 1];
  if (before === undefined)
    return body.previousHeads.length === 0
      ? undefined
      : missing(body.ordinal - 1, 0, "the next start tells of this one");
  if (before.id === body.previous) return undefined;
  if (epochs.slice(0, at).some((epoch) => epoch.id === body.previous)) {
    const n = extents.get(before.ordinal)?.firstN;
    return {
      ...place(before.ordinal, n ?? afterN),
      n,
      what: "inserted",
      detail: "the next start does not know of this one",
    };
  }
  return missing(body.ordinal - 1, afterN, "the next start tells of this one");
}

function missing(epoch: number, afterN: number, detail: string): Finding {
  return { ...place(epoch, afterN + 1), n: undefined, what: "missing", detail };
}

function place(epoch: number, n: number): Omit<Finding, "what" | "detail"> {
  return { epoch, stream: 0, seq: 1, toSeq: undefined, n, near: n };
}
