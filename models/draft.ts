import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { ModelError } from "./errors.ts";
import type { Golden } from "./golden.ts";
import { loadOrder } from "./hosted-model.ts";
import { type Manifest, type ManifestInput, parseManifest, planOf, widthOf } from "./manifest.ts";
import { type OneModel, type OneModelOptions, openModel } from "./one-model.ts";
import { type GraphValue, type OnnxFile, readOnnx } from "./onnx-file.ts";
import { type Answer, type ElementType, elementTypes, type InputRow } from "./tensors.ts";
import { answerDifference } from "./tolerance.ts";

export interface DraftOptions extends OneModelOptions {
  readonly name?: string | undefined;
  readonly version?: number | undefined;
}

/** A manifest as far as the file tells it, and what a person has to add. */
export interface Draft {
  readonly manifest: Manifest;
  readonly golden: Golden;
  readonly notes: readonly string[];
}

const GOLDEN_ROWS = 5;

/** Drafts the manifest of an ONNX file, and makes golden vectors by running it in a host. */
export async function draftManifest(file: string, options: DraftOptions): Promise<Draft> {
  const bytes = await readModel(file);
  const notes: string[] = [];
  const draft = describe(file, bytes, readOnnx(bytes), options, notes);
  const manifest = accepted(draft);
  const open = async (tried: Manifest): Promise<OneModel> =>
    openModel(loadOrder(resolve(file), tried, planOf(tried), undefined), options);
  const model = await open(manifest);
  try {
    const { golden, dependsOnBatch } = await makeGolden(model, manifest);
    if (dependsOnBatch) notes.push("Its answers change with the batch they are computed in, so maxBatch is 1.");
    return { manifest: dependsOnBatch ? { ...manifest, maxBatch: 1 } : manifest, golden, notes };
  } finally {
    await model.close();
  }
}

async function readModel(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new ModelError("MODEL_MISSING", { found: `${file} can not be read.` }, { cause });
  }
}

function accepted(draft: ManifestInput): Manifest {
  const parsed = parseManifest(draft);
  if (parsed.ok) return parsed.manifest;
  throw new ModelError("MODEL_MANIFEST", { found: parsed.problems.join("; "), problems: parsed.problems });
}

function describe(file: string, bytes: Buffer, onnx: OnnxFile, options: DraftOptions, notes: string[]): ManifestInput {
  const rows = onnx.inputs.some((input) => input.shape?.[0] === 1) ? 1 : "N";
  const inputs = draftInputs(onnx, rows, notes);
  const outputs = onnx.outputs.flatMap((output) => draftOutput(output, rows, notes));
  if (outputs.length === 0)
    throw new ModelError("MODEL_SHAPE", { found: `It has no output that can be used. ${notes.join(" ")}` });
  notes.push(
    "description, licence and training: say what the model is for, who may use it, and what it was trained on.",
  );
  notes.push("inputs: give each feature its unit, and min and max of the training rows.");
  notes.push("thresholds: say from which value on an answer means something.");
  if (rows === 1)
    notes.push(
      "The first dimension is 1: it runs one row at a time. Export it with a free first dimension to have rows run together.",
    );
  return {
    schemaVersion: 1,
    name: options.name ?? nameOf(file),
    version: options.version ?? 1,
    digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`,
    sizeBytes: bytes.byteLength,
    description: onnx.producer === "" ? "" : `Made with ${onnx.producer}.`,
    opset: onnx.opset,
    inputs,
    outputs,
    maxBatch: rows === 1 ? 1 : 64,
  };
}

function nameOf(file: string): string {
  const stem = basename(file)
    .replace(/\.(onnx|ort)$/i, "")
    .toLowerCase();
  return (
    stem
      .replace(/[^a-z0-9._-]+/g, "-")
      .replace(/^[^a-z0-9]+/, "")
      .slice(0, 64) || "model"
  );
}

function draftInputs(onnx: OnnxFile, rows: 1 | "N", notes: string[]): ManifestInput["inputs"] {
  if (onnx.inputs.length === 0) throw new ModelError("MODEL_SHAPE", { found: "It has no inputs." });
  const shapes = onnx.inputs.map((input) => ({ input, type: elementType(input), shape: inputShape(input, rows) }));
  const total = shapes.reduce((sum, { shape }) => sum + widthOf(shape), 0);
  const named = namesFromMetadata(onnx.metadata, total);
  const isOneEach = total === shapes.length && total > 1;
  if (named === undefined && !isOneEach)
    notes.push(`inputs: f0 to f${total - 1} are placeholders; name the features in the order of the training columns.`);
  let next = 0;
  return shapes.map(({ input, type, shape }) => ({
    tensor: input.name,
    type,
    shape,
    features: Array.from({ length: widthOf(shape) }, () => {
      const i = next++;
      return { name: named?.[i] ?? (isOneEach ? identifier(input.name, `f${i}`) : `f${i}`) };
    }),
  }));
}

function elementType(value: GraphValue): ElementType {
  if ((elementTypes as readonly string[]).includes(value.type)) return value.type as ElementType;
  const hint = `Cast inside the model: inputs and outputs are one of ${elementTypes.join(", ")}.`;
  throw new ModelError("MODEL_SHAPE", { found: `${value.name} is ${value.type}.` }, { hint });
}

function inputShape(input: GraphValue, rows: 1 | "N"): (number | "N")[] {
  const [first, ...rest] = input.shape ?? [];
  if (first === undefined)
    throw new ModelError("MODEL_SHAPE", { found: `The input ${input.name} has no dimension for rows.` });
  if (typeof first === "number" && first !== 1) {
    const hint = "Export it with a free first dimension (dynamic_axes, or [None, width] as initial type).";
    throw new ModelError(
      "MODEL_SHAPE",
      { found: `The input ${input.name} takes ${first} rows at once, no more and no fewer.` },
      { hint },
    );
  }
  const free = rest.find((size) => typeof size !== "number" || size < 1);
  if (free !== undefined) {
    throw new ModelError("MODEL_SHAPE", {
      found: `The input ${input.name} has the free dimension ${free}: the width of a row must be fixed.`,
    });
  }
  return [rows, ...(rest as number[])];
}

const ZIPMAP_NOTE =
  "to have it as numbers, export with options={id(model): {'zipmap': False}} (skl2onnx) or zipmap=False";

function draftOutput(output: GraphValue, rows: 1 | "N", notes: string[]): ManifestInput["outputs"] {
  const leaveOut = (why: string): [] => {
    notes.push(`The output ${output.name} is left out: ${why}.`);
    return [];
  };
  if (output.kind !== "tensor") return leaveOut(`it is a ${output.kind}; ${ZIPMAP_NOTE}`);
  if (!(elementTypes as readonly string[]).includes(output.type)) return leaveOut(`it is ${output.type}`);
  const [first, ...rest] = output.shape ?? [];
  if (first === undefined) return leaveOut("it has no dimension for rows");
  if (rows === "N" && typeof first === "number") return leaveOut(`it has ${first} rows whatever comes in`);
  if (rest.some((size) => typeof size !== "number" || size < 1)) return leaveOut("the width of its rows is not fixed");
  const shape = [rows, ...(rest as number[])];
  const type = output.type as ElementType;
  if (type === "string" && widthOf(shape) > 1) return leaveOut("it has more than one text a row");
  return [
    {
      name: identifier(output.name, "output"),
      tensor: output.name,
      type,
      shape,
      role: roleOf(output.name, type, widthOf(shape)),
    },
  ];
}

function roleOf(
  name: string,
  type: ElementType,
  width: number,
): "score" | "probability" | "label" | "value" | "embedding" {
  if (/label|class/i.test(name) || type === "string" || (type === "int64" && width === 1)) return "label";
  if (/prob/i.test(name)) return "probability";
  if (/score|anomal|distance|error/i.test(name)) return "score";
  return width > 8 ? "embedding" : "value";
}

const NAME_KEYS = ["feature_names", "features", "input_features", "columns"];

function namesFromMetadata(metadata: Readonly<Record<string, string>>, total: number): string[] | undefined {
  for (const key of NAME_KEYS) {
    const names = namesOf(metadata[key] ?? "");
    const clean = names.map((name, i) => identifier(name, `f${i}`));
    if (clean.length === total && new Set(clean).size === total) return clean;
  }
  return undefined;
}

function namesOf(text: string): string[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.map(String) : [];
  } catch {
    return text.split(",").map((name) => name.trim());
  }
}

function identifier(name: string, otherwise: string): string {
  const clean = name
    .trim()
    .replace(/[^A-Za-z0-9_]+/g, "_")
    .replace(/^(?=\d)/, "_");
  return /[A-Za-z0-9]/.test(clean) ? clean : otherwise;
}

/** The same rows each time: the draft of a file is reproducible. Tamer rows where the model refuses wilder ones. */
async function makeGolden(model: OneModel, manifest: Manifest): Promise<{ golden: Golden; dependsOnBatch: boolean }> {
  let refused: unknown;
  for (const inputs of [seededRows(manifest, -2, 2), seededRows(manifest, 0.5, 1), [zeroRow(manifest)]]) {
    try {
      const singles = await oneByOne(model, inputs);
      const together = planOf(manifest).batchRows > 1 ? await model.run(inputs) : singles;
      const golden = { inputs: inputs.map((row) => [...row]), outputs: singles };
      return { golden, dependsOnBatch: singles.some((answer, i) => differs(answer, together[i], manifest)) };
    } catch (error) {
      if (!(error instanceof ModelError) || error.code !== "MODEL_RUN") throw error;
      refused = error;
    }
  }
  throw refused;
}

function differs(single: Answer, together: Answer | undefined, manifest: Manifest): boolean {
  return answerDifference(single, together ?? {}, manifest.tolerance) !== undefined;
}

async function oneByOne(model: OneModel, rows: readonly InputRow[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const row of rows) answers.push(...(await model.run([row])));
  return answers;
}

function seededRows(manifest: Manifest, least: number, most: number): InputRow[] {
  const random = seeded(1);
  return Array.from({ length: GOLDEN_ROWS }, () =>
    manifest.inputs.flatMap((input) => input.features.map(() => sample(input.type, least + random() * (most - least)))),
  );
}

function sample(type: ElementType, value: number): number | string | boolean {
  if (type === "bool") return value > 0.7;
  if (type === "string") return value > 0.7 ? "a" : "b";
  if (type === "int64" || type === "int32") return Math.abs(Math.round(value));
  return Math.fround(value);
}

function zeroRow(manifest: Manifest): InputRow {
  const zeros = { bool: false, string: "", int64: 0, int32: 0, float32: 0, float64: 0 };
  return manifest.inputs.flatMap((input) => input.features.map(() => zeros[input.type]));
}

/** mulberry32: small, and the same everywhere. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
