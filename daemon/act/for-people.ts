import type { Actions } from "../api/actions.ts";
import { DaemonError } from "../errors.ts";
import type { Acting } from "./acting.ts";
import type { Action, OpenProposal } from "./action.ts";

/** What people may do with actions, as the control socket asks for it. */
export function actionsForPeople(acting: Acting, hasTool: (name: string) => boolean): Actions {
  return {
    open: () => acting.proposals().map(proposalLine),
    handoffs: () => acting.handoffs().map(handoffLine),
    approve: async ({ proposal, by, decision, signature }) =>
      await acting.answer({ proposal, by: by.name, decision, signature }),
    propose: async (by, tool, given) => {
      if (!hasTool(tool)) throw new DaemonError("NO_SUCH_TOOL", { tool }, { hint: "holdfast tools lists them." });
      const made = await acting.proposeAs(by.name, tool, given);
      return made ?? { id: "", state: "suppressed", reason: "observe" };
    },
    take: async (id, by) => {
      const isTaken = await acting.take(id, by.name);
      return isTaken ? { id, state: "acknowledged" } : { id, state: "unknown", reason: "nothing waits under this id" };
    },
    settle: () => acting.settle(),
  };
}

function proposalLine({ id, proposal, given }: OpenProposal): ReturnType<Actions["open"]>[number] {
  const { tool, arguments: values, class: kind, agent, key, rule, by, executeBefore, approveBefore } = proposal;
  return {
    ...{ id, tool, arguments: values, private: proposal.private, class: kind, agent, key, rule, by, given },
    proposedAt: madeAt(id),
    approveBefore: approveBefore?.wallMs ?? 0,
    executeBefore: executeBefore.wallMs,
    needs: proposal.needs ?? 1,
    hash: proposal.hash ?? "",
  };
}

function handoffLine({ id, intent, plan }: Action): ReturnType<Actions["handoffs"]>[number] {
  const { tool, arguments: values, agent, key, rule } = intent;
  const to = plan.config.kind === "handoff" ? plan.config.to : [];
  return { id, tool, arguments: values, private: intent.private, agent, key, rule, proposedAt: madeAt(id), to };
}

/** A UUIDv7 carries its millisecond (RFC 9562, 5.7). */
function madeAt(id: string): number {
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}
