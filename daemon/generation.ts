import { createHash } from "node:crypto";
import type { LoadedConfig } from "../config/load.ts";
import type { Problem } from "../config/problems.ts";
import { generationDigest } from "../config/release.ts";
import { featureUnit } from "../models/features.ts";
import type { Library } from "../models/library.ts";
import { checkPrivacy, checkTools } from "./act/check-tools.ts";
import type { ToolPlan } from "./act/tool-plan.ts";
import { type AgentPlan, planAgent } from "./agent-plan.ts";
import { type CompiledAgent, checkAgent } from "./check.ts";
import { checkFleet } from "./check-fleet.ts";
import { checkPeople } from "./check-people.ts";
import type { Clock } from "./clock.ts";
import { ConfigInvalid } from "./errors.ts";
import { type FindModel, type FoundModel, findModel } from "./find-model.ts";
import type { Policy } from "./guard.ts";
import type { Component } from "./lifecycle.ts";
import type { Log } from "./log.ts";
import { checkPolicy } from "./policy-cases.ts";
import { type CompiledQueries, checkQueryTools, compileQueries } from "./query-plan.ts";
import type { Store } from "./store/store.ts";

/** A file of a generation as it is kept: by its path, its digest and its source text. */
export interface GenerationFile {
  readonly path: string;
  readonly sha256: string;
  readonly source: string;
}

/** A configuration that was checked against its models and expressions, ready to run. */
export interface Prepared {
  readonly digest: string;
  readonly origin: "local";
  readonly agents: readonly PreparedAgent[];
  readonly policy: Policy;
  readonly tools: ReadonlyMap<string, ToolPlan>;
  readonly files: readonly GenerationFile[];
  /** What differs by site, and rules can see. It is no part of the generation. */
  readonly device: Device;
}

export interface Device {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface PreparedAgent {
  readonly plan: AgentPlan;
  readonly compiled: CompiledAgent;
  readonly model: FoundModel | undefined;
  /** Undefined where it asks nothing. */
  readonly queries?: CompiledQueries | undefined;
}

export interface Places {
  readonly dataDirectory: string;
  readonly bundled: string;
}

/** Checks what the schemas can not know: models and their inputs, units, expressions. Throws ConfigInvalid with all mistakes. */
export async function prepare(loaded: LoadedConfig, places: Places): Promise<Prepared> {
  const { problems, prepared } = await check(loaded, places);
  if (problems.length > 0 || prepared === undefined) throw new ConfigInvalid(problems);
  return prepared;
}

interface Checked {
  readonly problems: Problem[];
  readonly prepared: Prepared | undefined;
}

/** The same for `holdfast check-config`: the mistakes as a list. */
export async function check(loaded: LoadedConfig, places: Places): Promise<Checked> {
  const { gateway, generation } = loaded.config;
  const problems: Problem[] = [];
  const agents: PreparedAgent[] = [];
  const files = new Map<string, GenerationFile>();
  for (const file of loaded.files) {
    if (file.inGeneration)
      files.set(file.path, { path: file.path, sha256: file.sha256, source: file.bytes.toString("utf8") });
  }
  const found = new Map<string, FindModel>();
  const told = new Set<string>();
  const modelOf = async (name: string): Promise<FindModel> => {
    const here = { ...places, baseDirectory: loaded.baseDirectory };
    const model = found.get(name) ?? (await findModel(name, generation.models[name], here));
    found.set(name, model);
    return model;
  };
  const { problemAt } = loaded;
  const ground = { tools: generation.tools, endpoints: gateway.endpoints, device: gateway.device, problemAt };
  checkQueryTools(generation.tools, (path, message, hint) => void problems.push(problemAt(path, message, hint)));
  for (const [name, config] of Object.entries(generation.agents)) {
    const plan = planAgent(name, config, (call, unit) => featureUnit(call.fn, unit));
    const model = config.model === undefined ? undefined : await modelOf(config.model);
    if (model !== undefined && !model.ok) {
      const { model: named } = config;
      const path = model.isOwn
        ? ["models", String(named), ...(model.at === undefined ? [] : [model.at])]
        : ["agents", name, "model"];
      // Agents that share a model share its mistake, where that is the model's own.
      if (!model.isOwn || !told.has(String(named))) problems.push(loaded.problemAt(path, model.message, model.hint));
      told.add(String(named));
      continue;
    }
    const compiled = checkAgent(plan, model?.found.manifest, gateway.device, problemAt, problems);
    if (compiled !== undefined) checkPrivacy(name, compiled, generation.tools, problemAt, problems);
    const queries = compileQueries(plan, ground, problems);
    if (model !== undefined) {
      const { manifest, manifestText } = model.found;
      const path = `models/${manifest.name}/${manifest.version}/manifest.json`;
      files.set(path, { path, sha256: createHash("sha256").update(manifestText).digest("hex"), source: manifestText });
    }
    if (config.enabled && compiled !== undefined) agents.push({ plan, compiled, model: model?.found, queries });
  }
  checkPeople(loaded, problems);
  checkFleet(loaded, problems);
  const policy = checkPolicy(loaded, problems);
  const tools = checkTools(loaded, problems);
  if (problems.length > 0 || policy === undefined) return { problems, prepared: undefined };
  const list = [...files.values()];
  return {
    problems,
    prepared: {
      digest: generationDigest(list),
      origin: "local",
      agents,
      policy,
      tools,
      files: list,
      device: gateway.device,
    },
  };
}

/** Models from folders of the configuration are copied into the library: a decision can be run again when the folder has changed. */
async function keepModels(prepared: Prepared, library: Library, log: Log): Promise<void> {
  const { models } = await library.list();
  for (const { model } of prepared.agents) {
    if (model === undefined || models.some((one) => one.manifest.digest === model.manifest.digest)) continue;
    try {
      await library.add(model.directory);
    } catch (err) {
      // The model runs from its own folder all the same; only running its decisions again later is at stake.
      log.warn(
        { part: "generation", model: model.manifest.name, version: model.manifest.version, err },
        "model is not kept in the library",
      );
    }
  }
}

function tellOfDamage(prepared: Prepared, log: Log): void {
  for (const { model } of prepared.agents) {
    if (model?.insteadOf === undefined) continue;
    const { name, insteadOf } = model;
    log.warn(
      { part: "generation", model: name, reason: insteadOf },
      "a model's file is damaged; the copy in the library is used",
    );
  }
}

const DEVICE = "device:";

/** Under which the device is kept as it was from this epoch on. */
const deviceName = (epoch: number): string => `${DEVICE}${String(epoch)}`;

/** The device as it was in an epoch, as JSON: control.db has it for each epoch in which it changed. */
export function deviceAt(meta: Readonly<Record<string, string>>, epoch: number): string | undefined {
  let newest = -1;
  for (const name of Object.keys(meta)) {
    const from = name.startsWith(DEVICE) ? Number(name.slice(DEVICE.length)) : Number.NaN;
    if (from <= epoch && from > newest) newest = from;
  }
  return meta[deviceName(newest)];
}

/** Keeps the generation in control.db at the start: what ran when can be looked up as long as a decision names it. */
export function firstGeneration(
  prepared: Prepared,
  deps: { store: Store; clock: Clock; log: Log; library: Library; newId: (wallMs: number) => string },
): Component {
  const { store, clock, newId } = deps;
  return {
    name: "generation",
    start: async () => {
      await keepModels(prepared, deps.library, deps.log);
      tellOfDamage(prepared, deps.log);
      const state = await store.control.state();
      const known = state.generations.some((one) => one.id === prepared.digest);
      const { digest: id, origin, files } = prepared;
      if (!known) await store.control.saveGeneration({ id, origin, createdAt: clock.wallMs(), files });
      const device = JSON.stringify({ name: prepared.device.name, labels: prepared.device.labels });
      const isSameDevice = deviceAt(state.meta, store.epoch().ordinal) === device;
      if (!isSameDevice)
        await store.control.change({ kind: "meta", name: deviceName(store.epoch().ordinal), value: device });
      if (state.pointer === id && isSameDevice) return;
      await store.control.change({ kind: "pointer", id });
      const wallMs = clock.wallMs();
      const record = newId(wallMs);
      const body = JSON.stringify({
        v: 1,
        kind: "transition",
        id: record,
        generation: id.slice(0, 16),
        from: state.pointer?.slice(0, 16) ?? "none",
        to: "active",
        at: wallMs,
        origin,
        digest: id,
        files: files.map(({ path, sha256 }) => ({ path, sha256 })),
        device: createHash("sha256").update(device).digest("hex"),
      });
      store.append({ stream: 0, kind: "transition", agent: 0, id: record, wallMs, body });
    },
    stop: async () => undefined,
  };
}
