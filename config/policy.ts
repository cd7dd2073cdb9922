import { z } from "zod";
import { described } from "./described.ts";

/** Rules over actions, whoever proposes them. Checked and recorded now; enforced once actions exist. */
export const policyRuleSchema = z.strictObject({
  id: described(z.string().min(1), "The rule's name.", "no-stops-at-night"),
  effect: described(
    z.enum(["forbid", "permit", "requireApproval"]),
    "What it says of the actions it matches.",
    "forbid",
  ),
  tools: described(z.array(z.string()).default(["*"]), "Tools it is about; * is all.", ["stop-pump"]),
  agents: described(z.array(z.string()).default(["*"]), "Agents it is about; * is all.", ["*"]),
  when: described(z.string().optional(), "A CEL condition; without one it always matches.", "event.key != 'p1'"),
});
export type PolicyRule = z.infer<typeof policyRuleSchema>;
