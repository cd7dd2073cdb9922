import type { Clock } from "../clock.ts";
import type { OpenProposal } from "./action.ts";
import { bootDeadlineMs } from "./deadline.ts";

/** A person's yes or no to one proposal. */
export interface GivenAnswer {
  readonly proposal: string;
  /** Undefined: it could not be told who it is; `reason` says why. */
  readonly by: string | undefined;
  readonly decision: "approved" | "rejected";
  readonly signature?: string | undefined;
  /** Why it does not count, found out before it came here. */
  readonly reason?: string | undefined;
}

export type Weighed =
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "rejected"; readonly waiting: OpenProposal }
  | { readonly kind: "more"; readonly waiting: OpenProposal }
  | { readonly kind: "enough"; readonly waiting: OpenProposal };

interface Deps {
  readonly clock: Clock;
  /** Whether somebody of this name may say yes now. */
  readonly isApprover: (name: string) => boolean;
}

const MOST_REMEMBERED = 10_000;

/** Proposals that wait for people. An answer counts once, from somebody who may, who did not propose it, in time. */
export class Approvals {
  readonly #deps: Deps;
  readonly #open = new Map<string, OpenProposal>();
  /** Those that are over, so that a late answer is told what happened. */
  readonly #over = new Set<string>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  list(): readonly OpenProposal[] {
    return [...this.#open.values()];
  }

  wait(waiting: OpenProposal): void {
    this.#open.set(waiting.id, waiting);
  }

  /** Weighs an answer. Those who may not say yes any more do not count, though they could when they did. */
  weigh(answer: GivenAnswer): Weighed {
    const { by } = answer;
    const waiting = this.#open.get(answer.proposal);
    if (waiting === undefined)
      return refused(this.#over.has(answer.proposal) ? "it is decided already" : "nothing waits under this id");
    if (answer.reason !== undefined) return refused(answer.reason);
    if (by === undefined) return refused("nobody knows who this is");
    if (!this.#deps.isApprover(by)) return refused(`${by} may not approve`);
    if (this.#isLate(waiting)) return refused("the time to approve is over");
    if (waiting.proposal.by === by) return refused("nobody approves what they proposed");
    if (answer.decision === "rejected") return { kind: "rejected", waiting };
    if (waiting.given.includes(by)) return refused(`${by} has said yes already: another person has to`);
    const given = [...waiting.given.filter((name) => this.#deps.isApprover(name)), by];
    const now = { ...waiting, given };
    this.#open.set(waiting.id, now);
    return { kind: given.length >= (waiting.proposal.needs ?? 1) ? "enough" : "more", waiting: now };
  }

  /** Those whose time to approve is over. */
  late(): OpenProposal[] {
    return this.list().filter((waiting) => this.#isLate(waiting));
  }

  close(id: string): void {
    this.#open.delete(id);
    if (this.#over.size >= MOST_REMEMBERED) this.#over.delete(this.#over.values().next().value as string);
    this.#over.add(id);
  }

  #isLate({ proposal }: OpenProposal): boolean {
    const { clock } = this.#deps;
    const { approveBefore } = proposal;
    return approveBefore === undefined || clock.bootMs() >= bootDeadlineMs(approveBefore, clock);
  }
}

function refused(reason: string): Weighed {
  return { kind: "refused", reason };
}
