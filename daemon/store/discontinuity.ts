import type { StartReason } from "../../sync/kinds.ts";

export interface StartFacts {
  /** The last epoch that the database knows. */
  readonly previous:
    | { readonly ordinal: number; readonly closed: boolean; readonly bootId: string; readonly fingerprint: string }
    | undefined;
  readonly lastN: number;
  /** How far the log had come by what is written outside of the database. */
  readonly known: { readonly ordinal: number; readonly n: number } | undefined;
  /** The database could not be read and was set aside. */
  readonly quarantined: boolean;
  /** A newer version's log was left for the copy from before the upgrade. */
  readonly wentBack: boolean;
  readonly bootId: string;
  readonly fingerprint: string;
}

/** Why a new epoch begins, the gravest reason first. */
export function startReason(facts: StartFacts): StartReason {
  const { previous, known } = facts;
  if (facts.quarantined) return "recovered";
  if (previous === undefined) return known === undefined ? "first" : "recovered";
  if (previous.fingerprint !== facts.fingerprint) return "moved";
  if (facts.wentBack || (known !== undefined && known.ordinal > previous.ordinal)) return "restored";
  if (known !== undefined && known.ordinal === previous.ordinal && known.n > facts.lastN) return "truncated";
  if (previous.closed) return "clean";
  return previous.bootId === facts.bootId ? "crash" : "bootChanged";
}
