import type { ActionLine } from "../act/action-line.ts";
import { type Paint, safe } from "./format.ts";

/** What a decision proposed, each guard that had a say, and what became of it. */
export function actionLines(actions: readonly ActionLine[], paint: Paint): string[] {
  return actions.flatMap((action) => {
    const { tool, rule, verdict, policy, approval, verify } = action;
    const given = Object.entries(action.arguments).map(([name, value]) => `${name}=${String(value)}`);
    const because = verdict.rules.length > 0 ? ` by ${verdict.rules.join(", ")}` : "";
    const answers = (approval?.answers ?? []).map((one) => `${one.by ?? "nobody"} ${one.decision}`).join(", ");
    const line = (name: string, text: string): string => `  ${name.padEnd(12)}${safe(text, 200)}`;
    return [
      "",
      `${paint(`action ${action.intent}`, "bold")}: ${safe(tool)} ${safe(given.join(" "), 100)}`,
      line("proposed by", `rule ${rule}${action.dryRun ? ", as a dry run" : ""}`),
      line("policy", `${verdict.effect}${because} (policy ${policy})`),
      ...(approval === null
        ? []
        : [line("approval", `needs ${approval.needs}; ${answers === "" ? "nobody yet" : answers}`)]),
      line("became", `${action.state}${action.reason === null ? "" : `: ${action.reason}`}`),
      ...(verify?.readback === undefined ? [] : [line("readback", JSON.stringify(verify.readback))]),
      line("not after", action.executeBefore),
    ];
  });
}
