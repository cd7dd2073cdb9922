import type { Actions } from "../api/actions.ts";
import { DaemonError } from "../errors.ts";
import { millisecondOf } from "../ids.ts";
import type { Acting } from "./acting.ts";
import type { Action, OpenProposal } from "./action.ts";

const NOT_STARTED = { accepted: false, reason: "the daemon is starting", state: "refused", given: 0, needs: 0 };

/** What people may do with actions, as the control socket asks for it. */
export function actionsForPeople(acting: Acting, hasTool: (name: string) => boolean): Actions {
  return {
    open: () => (acting.desk?.proposals() ?? []).map(proposalLine),
    handoffs: () => (acting.desk?.handoffs() ?? []).map(handoffLine),
    approve: async ({ proposal, by, decision, signature }) =>
      (await acting.desk?.answer({ proposal, by: by.name, decision, signature })) ?? NOT_STARTED,
    propose: async (by, tool, given) => {
      if (!hasTool(tool)) throw new DaemonError("NO_SUCH_TOOL", { tool }, { hint: "holdfast tools lists them." });
      const made = await acting.proposeAs(by.name, tool, given);
      return made ?? { id: "", state: "suppressed", reason: "observe" };
    },
    take: async (id, by) => {
      const came = await acting.desk?.take(id, by.name);
      if (came === "taken") return { id, state: "acknowledged" };
      if (came === "notFor") throw new DaemonError("NOT_ALLOWED", { who: by.name, reason: "the task is for others" });
      return { id, state: "unknown", reason: "nothing waits under this id" };
    },
    settle: () => acting.settle(),
  };
}

function proposalLine({ id, proposal, given }: OpenProposal): ReturnType<Actions["open"]>[number] {
  const { tool, arguments: values, class: kind, agent, key, rule, by, executeBefore, approveBefore } = proposal;
  return {
    ...{ id, tool, arguments: values, private: proposal.private, class: kind, agent, key, rule, by, given },
    proposedAt: millisecondOf(id),
    approveBefore: approveBefore?.wallMs ?? 0,
    executeBefore: executeBefore.wallMs,
    needs: proposal.needs ?? 1,
    hash: proposal.hash ?? "",
  };
}

function handoffLine({ id, intent, plan }: Action): ReturnType<Actions["handoffs"]>[number] {
  const { tool, arguments: values, agent, key, rule } = intent;
  const to = plan.config.kind === "handoff" ? plan.config.to : [];
  return { id, tool, arguments: values, private: intent.private, agent, key, rule, proposedAt: millisecondOf(id), to };
}
