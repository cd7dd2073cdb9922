import type { z } from "zod";
import type { GatewayConfig } from "./gateway.ts";
import { mistakes } from "./mistakes.ts";
import type { Finding } from "./problems.ts";
import { prune } from "./prune.ts";
import { references } from "./references.ts";
import type { ReleaseConfig } from "./release.ts";
import { rootSchema } from "./schema-tree.ts";

/** A whole configuration: what the gateway allows, and what is active on it. */
export interface Config {
  readonly gateway: GatewayConfig;
  readonly generation: ReleaseConfig;
}

/** More than this nobody reads: such a file is of another kind. */
export const MOST_PROBLEMS = 500;

/** The schema's mistakes, and those of reference in all that the schema accepts. */
export function check(value: Record<string, unknown>): { config?: Config; findings: Finding[] } {
  const parsed = rootSchema.safeParse(value);
  if (parsed.success) {
    const config = split(parsed.data);
    return { config, findings: references(config, value).slice(0, MOST_PROBLEMS) };
  }
  const found = mistakes(value, parsed.error.issues, MOST_PROBLEMS);
  const rest = found.length < MOST_PROBLEMS ? prune(rootSchema, value) : undefined;
  if (rest === undefined) return { findings: found };
  const more = references(split(rest.data), value, rest.originalPath).map((one) => ({
    ...one,
    path: rest.originalPath(one.path),
  }));
  return { findings: [...found, ...more.slice(0, MOST_PROBLEMS)] };
}

function split(all: z.infer<typeof rootSchema>): Config {
  const { agents, models, tools, policy, policyTests, ...gateway } = all;
  return { gateway, generation: { agents, models, tools, policy, policyTests } };
}
