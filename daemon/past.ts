import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { loadConfig } from "../config/load.ts";
import { featureUnit } from "../models/features.ts";
import { type Manifest, parseManifest } from "../models/manifest.ts";
import type { Decision } from "../sync/records.ts";
import { type AgentPlan, planAgent } from "./agent-plan.ts";
import { type CompiledAgent, checkAgent, declarationsOf } from "./check.ts";
import { DaemonError } from "./errors.ts";
import type { Declarations } from "./expression-names.ts";
import type { Generation } from "./store/messages.ts";
import { generationById } from "./store/queries.ts";

/** The agent of a decision as it was configured then. */
export interface PastAgent {
  readonly generation: Generation;
  readonly plan: AgentPlan;
  readonly manifest: Manifest | undefined;
  readonly declarations: Declarations;
  readonly compiled: CompiledAgent;
}

/** Brings back the agent that made a decision, from the generation's source text in control.db. */
export function pastAgent(dataDirectory: string, decision: Decision): PastAgent {
  const generation = generationById(join(dataDirectory, "control.db"), decision.generation);
  if (generation === undefined)
    throw new DaemonError(
      "NOT_REPRODUCIBLE",
      { generation: decision.generation },
      { hint: "This generation is not in control.db." },
    );
  const manifest = manifestOf(generation, decision);
  const folder = mkdtempSync(join(tmpdir(), "holdfast-past-"));
  try {
    const files = generation.files.filter((file) => !file.path.endsWith("manifest.json"));
    for (const file of files) {
      mkdirSync(dirname(join(folder, file.path)), { recursive: true });
      writeFileSync(join(folder, file.path), file.source);
    }
    const main = files.find((file) => !file.path.startsWith("conf.d/")) ?? files[0];
    const loaded = loadConfig({ file: join(folder, main?.path ?? "missing.yaml"), environment: {} });
    const config = loaded.ok ? loaded.config.generation.agents[decision.agent] : undefined;
    if (!loaded.ok || config === undefined)
      throw new DaemonError(
        "NOT_REPRODUCIBLE",
        { agent: decision.agent, generation: decision.generation },
        { hint: "This version can not read the generation's files any more." },
      );
    const { device } = loaded.config.gateway;
    const plan = planAgent(decision.agent, config, (call, unit) => featureUnit(call.fn, unit));
    const problems: never[] = [];
    const compiled = checkAgent(plan, manifest, device, loaded.problemAt, problems);
    if (compiled === undefined) throw new DaemonError("NOT_REPRODUCIBLE", { agent: decision.agent, problems });
    return { generation, plan, manifest, declarations: declarationsOf(plan, manifest, device), compiled };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function manifestOf(generation: Generation, decision: Decision): Manifest | undefined {
  if (decision.model === undefined) return undefined;
  const { name, version } = decision.model;
  const source = generation.files.find((file) => file.path === `models/${name}/${version}/manifest.json`)?.source;
  const parsed = source === undefined ? undefined : parseManifest(JSON.parse(source));
  if (parsed === undefined || !parsed.ok)
    throw new DaemonError(
      "NOT_REPRODUCIBLE",
      { model: `${name} ${version}` },
      { hint: "The generation does not hold this model's manifest." },
    );
  return parsed.manifest;
}
