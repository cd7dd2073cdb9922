import type { ActionClass } from "../../sync/records.ts";
import type { Arguments } from "../act/tool.ts";
import type { Person } from "../people.ts";

/** An action that waits for people. */
export interface OpenProposal {
  readonly id: string;
  readonly tool: string;
  readonly arguments: Arguments;
  /** Names of arguments that are never shown. */
  readonly private?: readonly string[] | undefined;
  readonly class: ActionClass;
  readonly agent: string;
  readonly key: string;
  readonly rule: string;
  /** The person who proposed it, if it was one. */
  readonly by?: string | undefined;
  /** Wall time in milliseconds, like the two that follow. */
  readonly proposedAt: number;
  readonly approveBefore: number;
  readonly executeBefore: number;
  /** How many different people have to say yes. */
  readonly needs: number;
  /** Who has. */
  readonly given: readonly string[];
  /** What a signature is over: see sync/approval-text.ts. */
  readonly hash: string;
}

/** A task that waits for a person. */
export interface OpenHandoff {
  readonly id: string;
  readonly tool: string;
  readonly arguments: Arguments;
  readonly private?: readonly string[] | undefined;
  readonly agent: string;
  readonly key: string;
  readonly rule: string;
  readonly proposedAt: number;
  /** Who may take it; empty: anybody who is known. */
  readonly to: readonly string[];
  readonly takenBy?: string | undefined;
}

export interface ApprovalAnswer {
  readonly proposal: string;
  /** Has the role, and was identified by user, token or signature. */
  readonly by: Person;
  readonly decision: "approved" | "rejected";
  /** Verified; kept in the record. */
  readonly signature?: string | undefined;
  /** The user or person at the other end of the socket. */
  readonly peer: string;
}

export interface ApprovalResult {
  readonly accepted: boolean;
  readonly reason?: string | undefined;
  readonly state: string;
  readonly given: number;
  readonly needs: number;
}

export interface Proposed {
  readonly id: string;
  readonly state: string;
  readonly reason?: string | undefined;
}

/** What people may do with actions. Whoever is asked writes the records of what was asked, done and refused. */
export interface Actions {
  open(): readonly OpenProposal[];
  approve(answer: ApprovalAnswer): Promise<ApprovalResult>;
  propose(by: Person, tool: string, given: Arguments): Promise<Proposed>;
  handoffs(): readonly OpenHandoff[];
  take(id: string, by: Person): Promise<Proposed>;
  /** Resolves when nothing that passed the gate can still leave. */
  settle(): Promise<void>;
}

/** Arguments without what is private. */
export function shown(one: {
  readonly arguments: Arguments;
  readonly private?: readonly string[] | undefined;
}): Arguments {
  const hidden = (one.private ?? []).filter((name) => Object.hasOwn(one.arguments, name));
  return { ...one.arguments, ...Object.fromEntries(hidden.map((name) => [name, "(private)"])) };
}
