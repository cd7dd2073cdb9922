/** Something that reached the plant. */
export interface Effect {
  /** Its place among all that the ledger saw. */
  readonly seq: number;
  /** On the boot clock. */
  readonly atMs: number;
  readonly via: "mqtt" | "http" | "program";
  readonly tool: string;
  readonly key: string;
  /** The idempotency key; of a program, which gets none, its token. */
  readonly id: string;
}

/** What an actuator said of a command. */
export interface Answer {
  readonly atMs: number;
  readonly tool: string;
  readonly key: string;
  readonly token: string;
  readonly says: boolean;
  readonly isDone: boolean;
}

/** A reading of the plant that an interlock asks for. */
export interface Pressure {
  readonly atMs: number;
  readonly key: string;
  readonly bar: number;
}

/** When a message that the ledger sends to itself left and came. */
export interface Canary {
  readonly sentMs: number;
  readonly atMs: number;
}

export interface LedgerLog {
  readonly effects: Effect[];
  readonly answers: Answer[];
  readonly pressures: Pressure[];
  readonly canaries: Canary[];
  /** Deliveries of the same packet that came again on one connection: told apart by the broker's own mark. */
  redelivered: number;
  /** Effects that came while a look into the log was allowed, and how many of them had no intent there. */
  looked: number;
  readonly missing: { readonly id: string; readonly tool: string; readonly atMs: number }[];
}

export type ToLedger =
  | { readonly kind: "fence"; readonly n: number; readonly isCut: boolean }
  | { readonly kind: "silence"; readonly on: boolean }
  | { readonly kind: "look"; readonly on: boolean }
  | { readonly kind: "save"; readonly path: string };

export type FromLedger =
  | { readonly kind: "ready"; readonly port: number }
  | { readonly kind: "fence"; readonly n: number; readonly seq: number; readonly atMs: number }
  | { readonly kind: "still" }
  | { readonly kind: "saved" };
