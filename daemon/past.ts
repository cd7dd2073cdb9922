import { join } from "node:path";
import { loadRelease, type Problem } from "../config/load.ts";
import type { ReleaseConfig } from "../config/release.ts";
import { featureUnit } from "../models/features.ts";
import { type Manifest, parseManifest } from "../models/manifest.ts";
import type { Decision } from "../sync/records.ts";
import { type AgentPlan, planAgent } from "./agent-plan.ts";
import { type CompiledAgent, checkAgent, declarationsOf } from "./check.ts";
import { DaemonError } from "./errors.ts";
import type { Declarations } from "./expression-names.ts";
import { type Device, deviceAt } from "./generation.ts";
import type { PlacedDecision } from "./log-reader.ts";
import type { Generation } from "./store/messages.ts";
import { controlMeta, generationById } from "./store/queries.ts";

/** The agent of a decision as it was configured then. */
export interface PastAgent {
  readonly generation: Generation;
  readonly plan: AgentPlan;
  readonly manifest: Manifest | undefined;
  readonly declarations: Declarations;
  readonly compiled: CompiledAgent;
}

/** A generation that ran, with what its files say. */
export interface PastGeneration {
  readonly generation: Generation;
  readonly release: ReleaseConfig;
}

/** Brings back the agent that made a decision, from the generation's source text in control.db. */
export function pastAgent(dataDirectory: string, { decision, epoch }: PlacedDecision): PastAgent {
  const past = pastGeneration(dataDirectory, decision.generation);
  return agentOf(past, decision, pastDevice(dataDirectory, epoch));
}

export function pastGeneration(dataDirectory: string, id: string): PastGeneration {
  const generation = generationById(join(dataDirectory, "control.db"), id);
  if (generation === undefined)
    throw new DaemonError("NOT_REPRODUCIBLE", { generation: id }, { hint: "This generation is not in control.db." });
  const release = loadRelease(generation.files.filter((file) => !file.path.endsWith("manifest.json")));
  if (release === undefined)
    throw new DaemonError(
      "NOT_REPRODUCIBLE",
      { generation: id },
      { hint: "This version can not read the generation's files any more." },
    );
  return { generation, release };
}

/** The device as rules saw it in an epoch. */
export function pastDevice(dataDirectory: string, epoch: number): Device {
  const meta = controlMeta(join(dataDirectory, "control.db"));
  return JSON.parse(deviceAt(meta, epoch) ?? UNKNOWN_DEVICE) as Device;
}

/** What a decision tells of its agent. */
type Told = Pick<Decision, "agent" | "generation" | "model">;

/** The agent of a decision, compiled as it was in its generation. */
export function agentOf(past: PastGeneration, decision: Told, device: Device): PastAgent {
  const { generation, release } = past;
  const manifest = manifestOf(generation, decision);
  const config = release.agents[decision.agent];
  if (config === undefined)
    throw new DaemonError(
      "NOT_REPRODUCIBLE",
      { agent: decision.agent, generation: decision.generation },
      { hint: "The generation has no agent of this name." },
    );
  const plan = planAgent(decision.agent, config, (call, unit) => featureUnit(call.fn, unit));
  const problems: Problem[] = [];
  const compiled = checkAgent(plan, manifest, device, problemAt, problems);
  if (compiled === undefined) throw new DaemonError("NOT_REPRODUCIBLE", { agent: decision.agent, problems });
  return { generation, plan, manifest, declarations: declarationsOf(plan, manifest, device), compiled };
}

const UNKNOWN_DEVICE = JSON.stringify({ name: "gateway", labels: {} });

/** The files are not there any more, so a mistake has no place but its path. */
function problemAt(path: readonly PropertyKey[], message: string): Problem {
  return { file: "", line: 1, column: 1, path: path.map(String).join("."), message };
}

function manifestOf(generation: Generation, decision: Told): Manifest | undefined {
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
