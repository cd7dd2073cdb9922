/** Times on the boot clock. */
export interface Span {
  readonly fromMs: number;
  untilMs: number;
}

export interface LatchedSpan extends Span {
  /** The ledger's mark behind all that was on its way when the stop was complete. */
  readonly fromSeq: number;
  readonly how: string;
}

export interface OffSpan extends Span {
  readonly tool: string;
}

export interface ModeSpan extends Span {
  readonly mode: "observe" | "dryRun" | "approve";
}

/** What the trial did to the daemon and its world. */
export class Story {
  readonly latched: LatchedSpan[] = [];
  readonly off: OffSpan[] = [];
  readonly idle: ModeSpan[] = [];
  /** The daemon was held by SIGSTOP. */
  readonly held: Span[] = [];
  readonly faults = new Map<string, number>();
  starts = 0;
  sent = 0;

  count(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
  }
}
