import type { AgentConfig } from "../../config/agents.ts";
import type { LoadedCandidate } from "../../config/candidate.ts";
import type { Path, Problem } from "../../config/problems.ts";
import { featureUnit } from "../../models/features.ts";
import type { Answer, InputRow } from "../../models/inference.ts";
import type { Manifest } from "../../models/manifest.ts";
import { planAgent } from "../agent-plan.ts";
import { checkAgent, declarationsOf } from "../check.ts";
import type { PastAgent } from "../past.ts";
import { compilePolicy } from "../policy.ts";
import type { CandidateSide } from "./agent-replay.ts";
import type { Law } from "./judging.ts";
import { keptAsRecorded, needsReadings } from "./needs.ts";
import type { RecordedAgent } from "./recorded-agents.ts";

/** What a model says of one row: an answer, or why there is none. */
export type Tried = { readonly answer: Answer } | { readonly answer: undefined; readonly reason: string };

/** A model that is tried. */
export interface CandidateModel {
  readonly directory: string;
  readonly manifest: Manifest;
  answers(rows: readonly InputRow[]): Promise<readonly Tried[]>;
}

/** What is tried: agents, a policy and models, each only where it was named. */
export interface Candidate {
  readonly files: LoadedCandidate | undefined;
  /** By the name in their manifest. */
  readonly models: ReadonlyMap<string, CandidateModel>;
}

export type BuiltSide =
  | {
      readonly ok: true;
      readonly side: CandidateSide;
      readonly model: CandidateModel | undefined;
      readonly notes: readonly string[];
    }
  /** The record is not enough for it. */
  | { readonly ok: false; readonly reasons: readonly string[] };

type Recorded = Extract<RecordedAgent, { ok: true }>;

/** The candidate's side of a recorded agent. Mistakes of the candidate go to `problems`. */
export function candidateSide(recorded: Recorded, candidate: Candidate, problems: Problem[]): BuiltSide {
  const { past, device } = recorded;
  const { name } = past.plan;
  const own = ownAgent(name, candidate);
  const config = own ?? past.plan.config;
  const model = modelOf(config, past, candidate);
  const manifest = model?.manifest ?? (config.model === past.plan.config.model ? past.manifest : undefined);
  const reasons = needsReadings(past.plan.config, config);
  if (config.model !== undefined && manifest === undefined)
    reasons.push(`its model changed to ${config.model}: name its folder with --model`);
  const plan = planAgent(name, config, (call, unit) => featureUnit(call.fn, unit));
  const problemAt = placesOf(candidate, own !== undefined, model);
  // Features that the record does not have are told as such; that a recorded model does not take them is no mistake.
  if (reasons.length > 0 && model === undefined)
    return { ok: false, reasons: reasons.map((reason) => sentence(name, reason)) };
  const compiled = checkAgent(plan, manifest, device, problemAt, problems);
  if (reasons.length > 0 || compiled === undefined)
    return { ok: false, reasons: reasons.map((reason) => sentence(name, reason)) };
  const law = lawOf(recorded, candidate, problems);
  const side: CandidateSide = {
    plan,
    compiled,
    declarations: declarationsOf(plan, manifest, device),
    law,
    isAskedAnew: own !== undefined || model !== undefined,
    isJudgedAnew: candidate.files?.hasPolicy === true || (candidate.files?.tools.length ?? 0) > 0,
  };
  return { ok: true, side, model, notes: keptAsRecorded(past.plan.config, config) };
}

function sentence(agent: string, reason: string): string {
  return `replay can not tell for agent ${agent}: ${reason}${reason.startsWith("its model") ? "" : " (needs recorded readings)"}`;
}

/** By the name that the agent calls it, or by its own where that is another one. */
function modelOf(config: AgentConfig, past: PastAgent, { models }: Candidate): CandidateModel | undefined {
  if (config.model === undefined) return undefined;
  const isSame = config.model === past.plan.config.model;
  return models.get(config.model) ?? (isSame ? models.get(past.manifest?.name ?? "") : undefined);
}

function ownAgent(name: string, { files }: Candidate): AgentConfig | undefined {
  return files?.agents?.includes(name) === true ? files.release.agents[name] : undefined;
}

/** The law of the recorded generation, with what the candidate has of its own. */
function lawOf(recorded: Recorded, { files }: Candidate, problems: Problem[]): Law {
  const { law } = recorded.side;
  if (files === undefined) return law;
  const own = Object.fromEntries(files.tools.map((tool) => [tool, files.release.tools[tool]]));
  const tools = { ...law.tools, ...own } as Law["tools"];
  if (!files.hasPolicy) return { ...law, tools };
  const { device } = recorded;
  return {
    tools,
    policy: compilePolicy(files.release.policy, { device, tools, problemAt: files.problemAt, problems }),
  };
}

/** A model that does not fit is its own mistake where the agent is the recorded one. */
function placesOf(
  { files }: Candidate,
  isOwn: boolean,
  model: CandidateModel | undefined,
): (path: Path, message: string, hint?: string) => Problem {
  if (isOwn && files !== undefined) return files.problemAt;
  const file = model === undefined ? "" : `${model.directory}/manifest.json`;
  return (_path, message, hint) => ({
    file,
    line: 1,
    column: 1,
    path: "",
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}
