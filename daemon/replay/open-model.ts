import type { Problem } from "../../config/problems.ts";
import { ModelError, sentenceOf } from "../../models/errors.ts";
import { Inference, type InferResult, type InputRow, type ModelHandle } from "../../models/inference.ts";
import { readModelFile } from "../../models/library.ts";
import type { Manifest } from "../../models/manifest.ts";
import { readManifest } from "../../models/one-model.ts";
import { childPath } from "../children.ts";
import { systemClock } from "../clock.ts";
import { ConfigInvalid, DaemonError } from "../errors.ts";
import type { CandidateModel, Tried } from "./candidate.ts";

const PRIORITY = 3;
/** Rows wait for each other, so only a hanging run is too late. */
const DEADLINE_MS = 3_600_000;
const HARD_TIMEOUT_MS = 20_000;
const ROWS_AT_ONCE = 1024;

export interface OpenModels {
  readonly models: ReadonlyMap<string, CandidateModel>;
  close(): Promise<void>;
}

/** Loads the models of these folders, each in a host of its own. Throws ConfigInvalid when one can not be used. */
export async function openModels(directories: readonly string[]): Promise<OpenModels> {
  const clock = systemClock();
  const quiet = { info: () => {}, warn: () => {} };
  const inference = new Inference({ hostPath: childPath("models/host/main"), clock, log: quiet });
  const models = new Map<string, CandidateModel>();
  try {
    if (directories.length > 0) await inference.start();
    for (const directory of directories) {
      const model = await openOne(directory, inference);
      const { name } = model.manifest;
      if (models.has(name))
        throw new ConfigInvalid([problemIn(directory, `another folder has a model of the name ${name} too`)]);
      models.set(name, model);
    }
  } catch (error) {
    await inference.stop();
    throw error;
  }
  return { models, close: () => inference.stop() };
}

async function openOne(directory: string, inference: Inference): Promise<CandidateModel> {
  const manifest = await checkedManifest(directory);
  const lane = `${manifest.name}-${manifest.version}`;
  const limits = { deadlineMs: DEADLINE_MS, hardTimeoutMs: HARD_TIMEOUT_MS };
  const handle = await inference.load({ directory, manifest, lane, ...limits });
  const status = inference.status(handle);
  if (status?.state !== "ready")
    throw new ConfigInvalid([
      problemIn(directory, `the model can not be used: ${status?.reason ?? "it did not load"}`),
    ]);
  return { directory, manifest, answers: (rows) => answersOf(rows, handle, inference) };
}

async function checkedManifest(directory: string): Promise<Manifest> {
  try {
    const manifest = await readManifest(directory);
    await readModelFile(directory, manifest);
    return manifest;
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ConfigInvalid([problemIn(directory, sentenceOf(error))]);
  }
}

function problemIn(directory: string, message: string): Problem {
  return { file: `${directory}/manifest.json`, line: 1, column: 1, path: "", message };
}

async function answersOf(rows: readonly InputRow[], model: ModelHandle, inference: Inference): Promise<Tried[]> {
  const tried: Tried[] = [];
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
    const asked = rows.slice(from, from + ROWS_AT_ONCE).map((row) => ask(row, model, inference));
    for (const result of await Promise.all(asked))
      tried.push(result.ok ? { answer: result.answer } : { answer: undefined, reason: result.reason });
  }
  const status = inference.status(model);
  if (status?.state === "quarantined" || status?.state === "refused")
    throw new DaemonError("MODEL_UNUSABLE", { model: `${model.name} ${model.version}`, reason: status.reason });
  return tried;
}

function ask(row: InputRow, model: ModelHandle, inference: Inference): Promise<InferResult> {
  return new Promise((settle) => {
    inference.submit({ model, row, priority: PRIORITY, deadlineBootMs: Number.POSITIVE_INFINITY, settle });
  });
}
