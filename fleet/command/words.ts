import type { CommandResult } from "../../sync/command.ts";
import { safe } from "../commands/text.ts";
import type { MadeCommand } from "./making.ts";

/** What became of a command: `unanswered`: no result came while it counted. */
export interface Fate {
  readonly state: CommandResult["state"] | "unanswered";
  readonly reason?: string | undefined;
}

/** Why a gateway does not do a command, by the reason in its result. */
const refusals: Readonly<Record<string, string>> = {
  expired: "it came after its time, by the fleet's clock as the gateway knows it",
  notYet: "it is from the future: is the clock right where it was made?",
  tooLong: "it may be under way for too long",
  retained: "it was a copy that the broker had kept",
  seenBefore: "it had this one already; what came of it then is in its records",
  notForUs: "it is for another gateway",
  notFromAfar: "this is not done from afar by this version of the gateway",
  unknown: "whoever signed may not do this there; name a person who may, with --as and --key",
  role: "this person has not the role for it in the gateway's file",
  notOpen: "no such action waits there any more",
  signature: "the person's signature does not fit the action that waits there",
  MODE_CEILING: "the gateway's file allows less than this",
  MODE_SCOPE: "it has no agent or tool of this name",
  MODE_NOT_KEPT: "its disk is full: it counts until the daemon restarts, where it is a tightening",
};

export function refusalText(reason = ""): string {
  return Object.hasOwn(refusals, reason) ? `${refusals[reason]} (${reason})` : safe(reason, 400);
}

/** The whole story in one sentence. */
export function fateText(made: Pick<MadeCommand, "gateway" | "verb" | "arguments">, key: string, fate: Fate): string {
  const { gateway } = made;
  if (fate.state === "done") return doneText(made);
  if (fate.state === "refused") return `${gateway} refuses: ${refusalText(fate.reason)}.`;
  return (
    `${gateway} has not answered. Is it connected (holdfast-fleet gateways), and does its file know the key ${key}? ` +
    "A gateway says nothing to what nobody it knows has signed, and writes it down."
  );
}

function doneText({ gateway, verb, arguments: given }: Pick<MadeCommand, "gateway" | "verb" | "arguments">): string {
  const said = (name: string): string => safe(String(given[name] ?? ""));
  const texts: Readonly<Record<string, () => string>> = {
    stop: () => `${gateway} is stopped: no effect but notifications leaves it until a person releases it there.`,
    mode: () => `${gateway}: the mode of ${said("scope")} is ${said("mode")} now.`,
    switch: () => `${gateway}: ${said("scope")} is ${given["on"] === true ? "on" : "off"} now.`,
    approve: () => `${gateway} has the yes to ${said("proposal")}. What becomes of the action is in its records.`,
    deny: () => `${gateway} has the no to ${said("proposal")}: it will not be done.`,
    supportBundle: () =>
      `${gateway} has made its bundle and sends it. In two minutes or so there is: holdfast-fleet support-bundle ${gateway}.`,
    logLevel: () => `${gateway} logs ${said("level")} and above, for ${said("minutes")} min.`,
  };
  return texts[verb]?.() ?? `${gateway} has done it.`;
}
