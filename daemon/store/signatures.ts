import { type Signed, signedParts } from "../../sync/signing.ts";
import type { Finding } from "./damage.ts";
import type { Keyring } from "./keyring.ts";
import type { LogEpoch, LogRow } from "./log-source.ts";
import type { Testimony } from "./position.ts";

/** What one key vouches for. */
export interface SignedPart {
  readonly key: string;
  readonly epochs: readonly number[];
  /** The last row with a signature of this key. */
  readonly n: number;
}

export interface SignatureSummary {
  /** False: no public key was at hand, so signatures were seen and not checked. */
  readonly checked: boolean;
  readonly signed: readonly SignedPart[];
  /** Starts of which no record is signed, as by a release that had no key. */
  readonly unsigned: readonly number[];
}

/** How one start of the daemon signed. */
interface EpochSigning {
  readonly key: string | undefined;
  readonly startN: number;
}

/** Looks at each record that should be signed. A start of the daemon signs all of them with one key, or none. */
export class Signatures {
  readonly #ring: Keyring;
  readonly #epochs = new Map<number, EpochSigning>();
  readonly #parts = new Map<string, { epochs: Set<number>; n: number }>();
  readonly findings: Finding[] = [];
  #testimonyOf: number | undefined;
  /** The last record that vouches for what came before it, and the last of them that is signed. */
  #vouchedN = 1;
  #signedN = 1;

  constructor(ring: Keyring) {
    this.#ring = ring;
  }

  /** False for one that is forged; called by epoch and seq, so with the first record of each start first. */
  isGood(row: LogRow, body: string): boolean {
    const signed = signedParts(body);
    const epoch = this.#epochs.get(row.epoch) ?? { key: signed?.key, startN: row.n };
    this.#epochs.set(row.epoch, epoch);
    const isGood = this.#isGood(row, signed, epoch);
    if (isGood) this.#vouchedN = row.n;
    return isGood;
  }

  #isGood(row: LogRow, signed: Signed | undefined, epoch: EpochSigning): boolean {
    if (signed === undefined)
      return (
        epoch.key === undefined || this.#forged(row, "it has no signature, and the first record of its start has one")
      );
    if (epoch.key === undefined) {
      this.#epochs.set(row.epoch, { ...epoch, key: signed.key });
      const first = { epoch: row.epoch, stream: 0, seq: 1, n: epoch.startN };
      this.#forged(first, "it has no signature, and later records of its start have one");
    } else if (signed.key !== epoch.key)
      return this.#forged(row, `it is signed by key ${signed.key}, and its start by key ${epoch.key}`);
    const verdict = this.#ring.check(signed);
    if (verdict === "bad") return this.#forged(row, `its signature is not one of key ${signed.key}`);
    if (verdict === "unknown" && this.#ring.keys.length > 0)
      return this.#forged(row, `it is signed by key ${signed.key}, which is not among those at hand`);
    const part = this.#parts.get(signed.key) ?? { epochs: new Set(), n: 0 };
    this.#parts.set(signed.key, part);
    part.epochs.add(row.epoch);
    part.n = Math.max(part.n, row.n);
    this.#signedN = row.n;
    return true;
  }

  /** Whether what stands beside the database can be believed. `place`: where the log ends. */
  believes(testimony: Testimony, place: Omit<Finding, "what" | "detail">): boolean {
    const key = this.#epochs.get(testimony.ordinal)?.key;
    const forged = (detail: string): boolean => {
      this.findings.push({ ...place, what: "forged", detail: `position.json ${detail}` });
      return false;
    };
    if (testimony.signed === undefined)
      return key === undefined || forged("has no signature, and the start that it tells of has one");
    const verdict = this.#ring.check(testimony.signed);
    if (verdict === "bad") return forged(`is not signed by key ${testimony.signed.key}`);
    if (verdict === "unknown" && this.#ring.keys.length > 0)
      return forged(`is signed by key ${testimony.signed.key}, which is not among those at hand`);
    if (key !== undefined && key !== testimony.signed.key) return forged(`is signed by key ${testimony.signed.key}`);
    this.#testimonyOf = testimony.ordinal;
    return true;
  }

  /** Asked at the end: a start without a signature is believed when a later one, which is signed, tells of it. */
  summary(epochs: readonly LogEpoch[]): SignatureSummary {
    const keyOf = ({ ordinal }: LogEpoch): string | undefined => this.#epochs.get(ordinal)?.key;
    const unsigned = epochs.filter((epoch) => keyOf(epoch) === undefined);
    const last = epochs.findLastIndex((epoch) => keyOf(epoch) !== undefined);
    // There was a key: records before are signed, or position.json is.
    if (last >= 0 || this.#testimonyOf !== undefined) for (const epoch of epochs.slice(last + 1)) this.#deserted(epoch);
    return {
      checked: this.#ring.keys.length > 0,
      signed: [...this.#parts].map(([key, part]) => ({ key, epochs: [...part.epochs], n: part.n })),
      unsigned: unsigned.map((epoch) => epoch.ordinal),
    };
  }

  #deserted(epoch: LogEpoch): void {
    const n = this.#epochs.get(epoch.ordinal)?.startN;
    const place = { epoch: epoch.ordinal, stream: 0, seq: 1, toSeq: undefined, n, near: this.#signedN };
    this.findings.push({ ...place, what: "forged", detail: "no record of this start is signed, and there was a key" });
  }

  #forged({ n, epoch, stream, seq }: Pick<LogRow, "n" | "epoch" | "stream" | "seq">, detail: string): false {
    this.findings.push({
      what: "forged",
      epoch,
      stream,
      seq,
      toSeq: undefined,
      n,
      near: Math.min(n, this.#vouchedN),
      detail,
    });
    return false;
  }
}
