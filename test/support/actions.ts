import type {
  Actions,
  ApprovalAnswer,
  ApprovalResult,
  OpenHandoff,
  OpenProposal,
  Proposed,
} from "../../daemon/api/actions.ts";
import type { Person } from "../../daemon/people.ts";

/** Actions as the verbs see them: keeps what it was told, and settles when it is let. */
export class FakeActions implements Actions {
  readonly proposals: OpenProposal[] = [];
  readonly tasks: OpenHandoff[] = [];
  readonly answers: ApprovalAnswer[] = [];
  readonly proposed: { by: Person; tool: string; given: Readonly<Record<string, unknown>> }[] = [];
  readonly taken: { id: string; by: Person }[] = [];
  settled: Promise<void> = Promise.resolve();

  open(): readonly OpenProposal[] {
    return this.proposals;
  }

  async approve(answer: ApprovalAnswer): Promise<ApprovalResult> {
    this.answers.push(answer);
    const isOpen = this.proposals.some((one) => one.id === answer.proposal);
    if (!isOpen) return { accepted: false, reason: "noSuchProposal", state: "unknown", given: 0, needs: 0 };
    return { accepted: true, state: "intended", given: 1, needs: 1 };
  }

  async propose(by: Person, tool: string, given: Readonly<Record<string, unknown>>): Promise<Proposed> {
    this.proposed.push({ by, tool, given });
    return tool === "forbidden" ? { id: "a1", state: "denied", reason: "policy" } : { id: "a1", state: "intended" };
  }

  handoffs(): readonly OpenHandoff[] {
    return this.tasks;
  }

  async take(id: string, by: Person): Promise<Proposed> {
    this.taken.push({ id, by });
    return { id, state: "acknowledged" };
  }

  async settle(): Promise<void> {
    await this.settled;
  }
}

export function proposal(id: string, more: Partial<OpenProposal> = {}): OpenProposal {
  return {
    id,
    tool: "stop-pump",
    arguments: { pump: "p1", code: "secret" },
    private: ["code"],
    class: "consequential",
    agent: "pump-guard",
    key: "p1",
    rule: "stop",
    proposedAt: Date.UTC(2026, 0, 1),
    approveBefore: Date.UTC(2026, 0, 1, 0, 15),
    executeBefore: Date.UTC(2026, 0, 1, 0, 20),
    needs: 1,
    given: [],
    hash: "ab".repeat(32),
    ...more,
  };
}
