import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ModelConfig } from "../config/models.ts";
import { type Manifest, parseManifest } from "../models/manifest.ts";

export interface FoundModel {
  readonly name: string;
  readonly directory: string;
  readonly manifest: Manifest;
  readonly manifestText: string;
  readonly config: Pick<ModelConfig, "lane" | "deadlineSeconds" | "hardTimeoutSeconds" | "maxBatch">;
}

export type FindModel =
  | { readonly ok: true; readonly found: FoundModel }
  | {
      readonly ok: false;
      readonly message: string;
      readonly hint?: string;
      readonly isOwn: boolean;
      readonly at?: string;
    };

interface Places {
  readonly dataDirectory: string;
  readonly bundled: string;
  readonly baseDirectory: string;
}

const DEFAULTS = { lane: "main", deadlineSeconds: 1, hardTimeoutSeconds: 2 } as const;

/** The model that an agent names: its own directory, else the library, else the bundled ones; with its file checked against the manifest. */
export function findModel(name: string, config: ModelConfig | undefined, places: Places): FindModel {
  const candidates =
    config?.directory === undefined ? libraryFolders(name, places) : [resolve(places.baseDirectory, config.directory)];
  const isOwn = config !== undefined;
  const wanted = (manifest: Manifest): boolean =>
    (config?.directory !== undefined || manifest.name === name) &&
    (config?.version === undefined || config.version === manifest.version) &&
    (config?.digest === undefined || config.digest === manifest.digest);
  let newest: FoundModel | undefined;
  let mistake: FindModel | undefined;
  for (const directory of candidates) {
    const read = readFolder(directory, name, config);
    if (!read.ok) mistake ??= { ...read, isOwn, ...(config?.directory === undefined ? {} : { at: "directory" }) };
    else if (wanted(read.found.manifest)) {
      if (newest === undefined || newest.manifest.version < read.found.manifest.version) newest = read.found;
    } else if (config?.directory !== undefined) {
      const { manifest } = read.found;
      return {
        ok: false,
        isOwn,
        at: config.version === undefined ? "digest" : "version",
        message: `the folder holds version ${manifest.version} with digest ${manifest.digest.slice(0, 19)}…, another one is asked for`,
      };
    }
  }
  if (newest !== undefined) return { ok: true, found: newest };
  if (mistake !== undefined) return mistake;
  const known = knownNames(places);
  return {
    ok: false,
    isOwn,
    message: `there is no model "${name}"${config?.version === undefined ? "" : ` with version ${config.version}`}`,
    hint: `Known: ${known.length > 0 ? known.join(", ") : "none"}. Add one with: holdfast models add FILE.onnx, or give models.${name}.directory.`,
  };
}

function readFolder(
  directory: string,
  name: string,
  config: ModelConfig | undefined,
): { ok: true; found: FoundModel } | { ok: false; message: string; hint?: string } {
  const manifestFile = join(directory, "manifest.json");
  const modelFile = join(directory, "model.onnx");
  if (!existsSync(manifestFile) || !existsSync(modelFile))
    return {
      ok: false,
      message: `${directory} does not hold model.onnx and manifest.json`,
      hint: "holdfast models add FILE.onnx drafts a manifest.",
    };
  const manifestText = readFileSync(manifestFile, "utf8");
  let value: unknown;
  try {
    value = JSON.parse(manifestText);
  } catch (error) {
    return { ok: false, message: `${manifestFile} is not JSON: ${(error as Error).message}` };
  }
  const parsed = parseManifest(value);
  if (!parsed.ok) return { ok: false, message: `${manifestFile}: ${parsed.problems.join("; ")}` };
  const digest = `sha256:${createHash("sha256").update(readFileSync(modelFile)).digest("hex")}`;
  if (digest !== parsed.manifest.digest)
    return {
      ok: false,
      message: `${modelFile} has digest ${digest.slice(0, 19)}…, its manifest says ${parsed.manifest.digest.slice(0, 19)}…`,
      hint: "The file was changed or cut short: bring it again, or draft a new manifest.",
    };
  return { ok: true, found: { name, directory, manifest: parsed.manifest, manifestText, config: config ?? DEFAULTS } };
}

function libraryFolders(name: string, places: Places): string[] {
  const library = join(places.dataDirectory, "models");
  return [...folders(library), ...folders(join(places.bundled, name))];
}

function folders(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(path, entry.name, "manifest.json")))
    .map((entry) => join(path, entry.name));
}

function knownNames(places: Places): string[] {
  const bundled = existsSync(places.bundled) ? readdirSync(places.bundled) : [];
  const own = folders(join(places.dataDirectory, "models")).flatMap((folder) => {
    try {
      return [String((JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as { name?: unknown }).name)];
    } catch {
      return []; // an unreadable manifest is told when its model is asked for
    }
  });
  return [...new Set([...own, ...bundled])].sort();
}
