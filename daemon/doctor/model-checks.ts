import { join } from "node:path";
import { ModelError, sentenceOf } from "../../models/errors.ts";
import { loadOrder, MODEL_FILE } from "../../models/hosted-model.ts";
import { planOf } from "../../models/manifest.ts";
import { openModel } from "../../models/one-model.ts";
import { bundledModels } from "../assets.ts";
import { childPath } from "../children.ts";
import { type FoundModel, findModel } from "../find-model.ts";
import { asWhom } from "./account.ts";
import { type Finding, ok, problem, skipped } from "./finding.ts";
import type { Site } from "./site.ts";

const CHECK = "configuration.models";
const LOAD_MS = 10_000;

/** Each model that an agent names, one after the other: a small machine has not the memory for all at once. */
export async function modelFindings(site: Site, signal: AbortSignal): Promise<readonly Finding[]> {
  const { loaded, dataDirectory } = site;
  if (loaded === undefined) return [skipped(CHECK, "the configuration is not known")];
  const { agents, models } = loaded.config.generation;
  const names = [...new Set(Object.values(agents).flatMap(({ model }) => model ?? []))];
  if (names.length === 0) return [ok(CHECK, "no agent asks a model")];
  const findings: Finding[] = [];
  for (const name of names) {
    if (signal.aborted) {
      findings.push(skipped(CHECK, "no time was left for it", name));
      continue;
    }
    const places = { dataDirectory, bundled: bundledModels(), baseDirectory: loaded.baseDirectory };
    const model = await findModel(name, models[name], places);
    if (model.ok) findings.push(await load(model.found, asWhom(site)));
    else {
      const found = `${model.message}${model.hint === undefined ? "" : ` ${model.hint}`}`;
      findings.push(problem(CHECK, "unusable", { subject: name, found, expected: "the file that its manifest names" }));
    }
  }
  return findings;
}

/** Loading it with its golden vectors runs them, and compares the answers. */
async function load(
  { name, directory, manifest, config }: FoundModel,
  runAs: ReturnType<typeof asWhom>,
): Promise<Finding> {
  const subject = `${name} ${manifest.version}`;
  const order = loadOrder(
    join(directory, MODEL_FILE),
    manifest,
    planOf(manifest, config.maxBatch),
    join(directory, manifest.golden),
  );
  const began = performance.now();
  try {
    const model = await openModel(order, { hostPath: childPath("models/host/main"), timeoutMs: LOAD_MS, runAs });
    await model.close();
    const { golden } = model.report;
    return ok(
      CHECK,
      `${manifest.digest.slice(0, 19)}…, ${golden} golden answers, loaded in ${Math.round(performance.now() - began)} ms`,
      subject,
    );
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const found = `${error.code}: ${sentenceOf({ message: error.message, detail: error.detail })}`;
    return problem(CHECK, "fails", { subject, found, expected: "the answers that its maker got" });
  }
}
