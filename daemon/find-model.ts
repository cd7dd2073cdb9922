import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ModelConfig } from "../config/models.ts";
import { ModelError, sentenceOf } from "../models/errors.ts";
import { Library, readModelFile } from "../models/library.ts";
import type { Manifest } from "../models/manifest.ts";
import { readManifest } from "../models/one-model.ts";

export interface FoundModel {
  readonly name: string;
  readonly directory: string;
  readonly manifest: Manifest;
  readonly manifestText: string;
  /** The folder whose file is damaged, where the library's copy of it stands in. */
  readonly insteadOf?: string;
  readonly config: Pick<ModelConfig, "lane" | "deadlineSeconds" | "hardTimeoutSeconds" | "maxBatch">;
}

interface Mistake {
  readonly ok: false;
  readonly message: string;
  readonly hint?: string;
  /** The key of the model's own section that is to blame; without it the agent's. */
  readonly at?: string;
  readonly isOwn: boolean;
}

export type FindModel = { readonly ok: true; readonly found: FoundModel } | Mistake;

interface Places {
  readonly dataDirectory: string;
  readonly bundled: string;
  readonly baseDirectory: string;
}

const DEFAULTS = { lane: "main", deadlineSeconds: 1, hardTimeoutSeconds: 2 } as const;

/** The model that an agent names: its own directory, else the library, else the bundled ones; with its file checked against the manifest. */
export async function findModel(name: string, config: ModelConfig | undefined, places: Places): Promise<FindModel> {
  const isOwn = config !== undefined;
  const directory = config?.directory === undefined ? undefined : resolve(places.baseDirectory, config.directory);
  const at = directory === undefined ? {} : { at: "directory" };
  try {
    const place = directory === undefined ? await inLibrary(name, config, places) : await inFolder(directory, config);
    if (!("manifest" in place)) return { ok: false, isOwn, ...place };
    const damaged = await damageOf(place);
    if (damaged !== undefined) {
      const copy = await ownCopy(place, places);
      if (copy === undefined) throw damaged;
      const manifestText = await readFile(join(copy.directory, "manifest.json"), "utf8");
      const found = { name, ...copy, manifestText, config: config ?? DEFAULTS, insteadOf: place.directory };
      return { ok: true, found };
    }
    const manifestText = await readFile(join(place.directory, "manifest.json"), "utf8");
    return { ok: true, found: { name, ...place, manifestText, config: config ?? DEFAULTS } };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    return { ok: false, isOwn, ...at, message: sentenceOf({ message: error.message, detail: error.detail }), ...hint };
  }
}

async function damageOf({ directory, manifest }: Place): Promise<ModelError | undefined> {
  try {
    await readModelFile(directory, manifest);
    return undefined;
  } catch (error) {
    if (error instanceof ModelError) return error;
    throw error;
  }
}

/** The library has a copy of each model that ran here: the same file by its digest, so the same model. */
async function ownCopy({ directory, manifest }: Place, places: Places): Promise<Place | undefined> {
  const copy = { directory: join(places.dataDirectory, "models", manifest.digest.slice("sha256:".length)), manifest };
  if (copy.directory === directory || (await damageOf(copy)) !== undefined) return undefined;
  return { directory: copy.directory, manifest: await readManifest(copy.directory) };
}

type Place = { readonly directory: string; readonly manifest: Manifest };
type NotFound = Omit<Mistake, "ok" | "isOwn">;

async function inFolder(directory: string, config: ModelConfig | undefined): Promise<Place | NotFound> {
  const manifest = await readManifest(directory);
  const { version, digest } = manifest;
  const isVersion = config?.version === undefined || config.version === version;
  if (isVersion && (config?.digest === undefined || config.digest === digest)) return { directory, manifest };
  return {
    at: isVersion ? "digest" : "version",
    message: `the folder holds version ${version} with digest ${digest.slice(0, 19)}…, another one is asked for`,
  };
}

async function inLibrary(name: string, config: ModelConfig | undefined, places: Places): Promise<Place | NotFound> {
  const library = new Library(join(places.dataDirectory, "models"), places.bundled);
  const found = await library.find({ name, version: config?.version, digest: config?.digest });
  if (found !== undefined) return { directory: found.directory, manifest: found.manifest };
  const { models, broken } = await library.list();
  const known = [...new Set(models.map((model) => `${model.manifest.name} ${model.manifest.version}`))].sort();
  const unusable = broken.map((one) => ` ${one.directory} can not be used: ${one.reason}`).join("");
  return {
    message: `there is no model "${name}"${config?.version === undefined ? "" : ` with version ${config.version}`}`,
    hint: `Known: ${known.length > 0 ? known.join(", ") : "none"}. Add one with: holdfast models add FILE.onnx, or give models.${name}.directory.${unusable}`,
  };
}
