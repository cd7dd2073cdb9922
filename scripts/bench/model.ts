import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** What the benchmark needs to know of a model. */
export interface BenchModel {
  readonly folder: string;
  readonly name: string;
  readonly features: readonly { readonly name: string; readonly unit?: string }[];
  readonly output: string;
  /** A score that hardly ever comes, so that the rule is evaluated each time and seldom fires. */
  readonly threshold: number;
}

interface Manifest {
  readonly name: string;
  readonly inputs: readonly { readonly features: BenchModel["features"] }[];
  readonly outputs: readonly { readonly name: string }[];
}

const UNLIKELY_SCORE = 1e6;

/** The autoencoder with 16 features of the tests, unless another folder is named. */
export function readModel(folder = "test/fixtures/models/autoencoder-16"): BenchModel {
  const path = resolve(folder);
  const file = join(path, "manifest.json");
  if (!existsSync(file))
    throw new Error(`no model in ${path}: run the benchmark from the repository's root, or name a folder with --model`);
  const manifest = JSON.parse(readFileSync(file, "utf8")) as Manifest;
  const [input] = manifest.inputs;
  const [output] = manifest.outputs;
  if (input === undefined || output === undefined) throw new Error(`${file} names no input or no output`);
  return {
    folder: path,
    name: manifest.name,
    features: input.features,
    output: output.name,
    threshold: UNLIKELY_SCORE,
  };
}
