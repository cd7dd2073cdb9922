import { createHash } from "node:crypto";
import { z } from "zod";
import { agentSchema } from "./agents.ts";
import { described } from "./described.ts";
import { modelSchema } from "./models.ts";
import { policyRuleSchema, policyTestSchema } from "./policy.ts";
import { toolSchema } from "./tools.ts";

const name = z.string().regex(/^[A-Za-z0-9][\w.-]*$/);

/** What is active together, and what the fleet may change: a generation's four sections. */
export const releaseSchema = z.strictObject({
  agents: described(z.record(name, agentSchema).default({}), "The loops that run here, by name.", {
    watch: { sources: [{ kind: "vitals" }], model: "host-anomaly" },
  }),
  models: described(z.record(name, modelSchema).default({}), "The models that agents name.", {
    "pump-anomaly": { directory: "./models/pump-anomaly" },
  }),
  tools: described(z.record(name, toolSchema).default({}), "What rules may use.", {
    tell: { kind: "notify" },
  }),
  policy: described(
    z.array(policyRuleSchema).default([]),
    "What may be done by whom. What no rule permits is not done, but notifications; any forbid wins.",
    [{ id: "no-stops-at-night", effect: "forbid", tools: ["stop-pump"] }],
  ),
  policyTests: described(
    z.array(policyTestSchema).default([]),
    "Cases that the policy has to decide as expected: one that fails refuses the whole configuration.",
    [{ action: { tool: "stop-pump" }, expect: "forbid" }],
  ),
});
export type ReleaseConfig = z.infer<typeof releaseSchema>;

/** SHA-256 over the files' paths and digests, in order of path: over source bytes, so that a new default changes nothing. */
export function generationDigest(files: readonly { readonly path: string; readonly sha256: string }[]): string {
  const hash = createHash("sha256");
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1)))
    hash.update(`${file.path}\0${file.sha256}\n`);
  return hash.digest("hex");
}
