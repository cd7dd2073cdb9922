import { z } from "zod";
import { described } from "./described.ts";

/**
 * Rules over actions, whoever proposes them. Nothing is done that no rule permits, but notifications; any forbid wins,
 * whatever the order (the decision semantics of Cedar).
 */
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

const values = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

/** A case that the policy has to decide as its author expects, tried whenever the policy is loaded. */
export const policyTestSchema = z.strictObject({
  name: described(z.string().optional(), "What the case is about.", "no stops at night"),
  action: described(
    z.strictObject({
      tool: described(z.string(), "The tool, by name.", "stop-pump"),
      agent: described(z.string().optional(), "The agent that proposes it; default: a person does.", "pump-guard"),
      by: described(z.string().optional(), "The person who proposes it, where no agent does.", "maria"),
      rule: described(z.string().optional(), "Its rule.", "stop-on-anomaly"),
      arguments: described(values.default({}), "The tool's arguments.", { pump: "p1" }),
    }),
    "The action that is proposed.",
  ),
  context: described(
    z
      .strictObject({
        key: described(z.string().default("key"), "The event's key.", "p1"),
        id: described(z.string().optional(), "The event's id.", "e1"),
        time: described(z.number().default(0), "The event's time, in milliseconds.", 1767225600000),
        now: described(z.number().optional(), "The time of the decision, in milliseconds; default: the event's.", 0),
        fields: described(values.default({}), "The event's fields.", { vibration: 7.5 }),
        features: described(values.default({}), "Features.", { vib_rms: 7.5 }),
        answer: described(values.default({}), "The model's answer.", { score: 0.95 }),
      })
      .prefault({}),
    "What the decision saw.",
  ),
  expect: described(
    z.enum(["permit", "requireApproval", "forbid", "deny"]),
    "What has to come out; deny: no rule permits it.",
    "forbid",
  ),
});
export type PolicyTest = z.infer<typeof policyTestSchema>;
