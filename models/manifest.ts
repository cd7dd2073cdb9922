import { z } from "zod";
import { elementTypes, maxRowBytes, type OutputPlan, type TensorPlan } from "./tensors.ts";

const identifier = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "letters, digits and _ only, not beginning with a digit");
const dimension = z.union([z.int().min(1).max(1_000_000), z.literal("N")]);

const featureSchema = z.strictObject({
  name: identifier.describe("Name of the feature; an agent's feature of this name goes here."),
  unit: z.string().max(32).optional().describe("Unit that the model was trained with."),
  min: z.number().optional().describe("Smallest value in the training rows."),
  max: z.number().optional().describe("Largest value in the training rows."),
});

const inputSchema = z.strictObject({
  tensor: z.string().min(1).max(256).describe("Name of the graph's input."),
  type: z.enum(elementTypes),
  shape: z.array(dimension).min(1).max(6).describe('First dimension "N" for any number of rows, 1 for one row a run.'),
  features: z.array(featureSchema).min(1).max(65_536).describe("What the elements of a row mean, in order."),
});

const outputSchema = z.strictObject({
  name: identifier.describe("Name that rules use: answer.<name>."),
  tensor: z.string().min(1).max(256).describe("Name of the graph's output."),
  type: z.enum(elementTypes),
  shape: z.array(dimension).min(1).max(6),
  role: z.enum(["score", "probability", "label", "value", "embedding"]),
  min: z.number().optional(),
  max: z.number().optional(),
  classes: z.array(z.string()).optional().describe("Names of the classes, in the order of the output's elements."),
});

const thresholdSchema = z.strictObject({ output: identifier, value: z.number(), meaning: z.string() });

/** What a model says of itself; `manifest.json` beside the model's file. */
export const manifestSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "lower case letters, digits, dots, - and _, at most 64"),
  version: z.int().min(1).max(1_000_000_000),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, "sha256: and 64 hexadecimal digits"),
  sizeBytes: z.int().min(1),
  description: z.string().default(""),
  licence: z.string().default(""),
  training: z
    .strictObject({
      script: z.string().optional(),
      data: z.string().optional(),
      method: z.string().optional(),
      trainedAt: z.string().optional(),
    })
    .optional(),
  opset: z.int().min(1).max(1000).optional(),
  inputs: z.array(inputSchema).min(1).max(64),
  outputs: z.array(outputSchema).min(1).max(64),
  thresholds: z.array(thresholdSchema).default([]),
  maxBatch: z.int().min(1).max(1024).default(64),
  tolerance: z
    .strictObject({ absolute: z.number().min(0).default(1e-6), relative: z.number().min(0).default(1e-5) })
    .prefault({}),
  golden: z
    .string()
    .regex(/^[^/\\]+$/, "a file beside the manifest")
    .default("golden.json"),
  reference: z
    .string()
    .regex(/^[^/\\]+$/, "a file beside the manifest")
    .optional(),
  quality: z.record(z.string(), z.unknown()).optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestInput = z.input<typeof manifestSchema>;
export type ManifestResult = { ok: true; manifest: Manifest } | { ok: false; problems: string[] };

/** The manifest, or every mistake in it as a sentence. */
export function parseManifest(value: unknown): ManifestResult {
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    return {
      ok: false,
      problems: parsed.error.issues.map((issue) => `${issue.path.join(".") || "manifest"}: ${issue.message}`),
    };
  }
  const problems = contradictions(parsed.data);
  return problems.length === 0 ? { ok: true, manifest: parsed.data } : { ok: false, problems };
}

function contradictions(manifest: Manifest): string[] {
  const { inputs, outputs, thresholds } = manifest;
  const features = inputs.flatMap((input) => input.features.map((feature) => feature.name));
  return [
    ...inputs.flatMap((input, i) => [
      ...shapeProblems(`inputs.${i}.shape`, input.shape),
      ...(input.features.length === widthOf(input.shape)
        ? []
        : [`inputs.${i}.features: ${input.features.length} features for a row of ${widthOf(input.shape)} elements`]),
    ]),
    ...outputs.flatMap((output, i) => outputProblems(output, i)),
    ...repeated(features).map((name) => `inputs: the feature ${name} is there twice`),
    ...repeated(inputs.map((input) => input.tensor)).map((name) => `inputs: the tensor ${name} is there twice`),
    ...repeated(outputs.map((output) => output.name)).map((name) => `outputs: the name ${name} is there twice`),
    ...repeated(outputs.map((output) => output.tensor)).map((name) => `outputs: the tensor ${name} is there twice`),
    ...(new Set([...inputs, ...outputs].map((tensor) => tensor.shape[0])).size > 1
      ? ['shape: all tensors have the same first dimension, "N" or 1']
      : []),
    ...thresholds
      .filter((threshold) => !outputs.some((output) => output.name === threshold.output))
      .map((threshold) => `thresholds: there is no output ${threshold.output}`),
  ];
}

function shapeProblems(path: string, shape: readonly (number | "N")[]): string[] {
  const [first, ...rest] = shape;
  return [
    ...(first === "N" || first === 1
      ? []
      : [`${path}: the first dimension is "N" (any number of rows) or 1 (one row a run)`]),
    ...(rest.includes("N") ? [`${path}: only the first dimension may be "N"`] : []),
    ...(widthOf(shape) > 1_000_000 ? [`${path}: more than a million elements a row`] : []),
  ];
}

function outputProblems(output: Manifest["outputs"][number], i: number): string[] {
  const width = widthOf(output.shape);
  const isText = output.type === "string" && width > 1;
  const { classes } = output;
  return [
    ...shapeProblems(`outputs.${i}.shape`, output.shape),
    ...(isText ? [`outputs.${i}.type: text outputs have one element a row`] : []),
    ...(classes !== undefined && width > 1 && classes.length !== width
      ? [`outputs.${i}.classes: ${classes.length} names for ${width} elements`]
      : []),
  ];
}

function repeated(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
}

/** Elements a row of a tensor of this shape. */
export function widthOf(shape: readonly (number | "N")[]): number {
  return shape.slice(1).reduce<number>((width, n) => width * (n === "N" ? 1 : n), 1);
}

/** The manifest as the hot path needs it. */
export interface ModelPlan {
  readonly inputs: readonly TensorPlan[];
  readonly outputs: readonly OutputPlan[];
  readonly rowWidth: number;
  readonly featureNames: readonly string[];
  /** Most rows in one run. */
  readonly batchRows: number;
}

/** Most rows that go to a host at once, whatever the manifest allows. */
export const MAX_BATCH_ROWS = 64;
const MAX_BATCH_BYTES = 16 * 1024 * 1024;

/** The plan of a checked manifest; `maxBatch` of the configuration may only lower the manifest's. */
export function planOf(manifest: Manifest, maxBatch?: number): ModelPlan {
  const inputs = manifest.inputs.map(({ tensor, type, shape }) => ({ tensor, type, shape, width: widthOf(shape) }));
  const outputs = manifest.outputs.map(({ name, tensor, type, shape }) => ({
    name,
    tensor,
    type,
    shape,
    width: widthOf(shape),
  }));
  const fixed = manifest.inputs.some((input) => input.shape[0] === 1);
  const rowBytes = Math.max(1, maxRowBytes(inputs), maxRowBytes(outputs));
  const fitting = Math.max(1, Math.floor(MAX_BATCH_BYTES / rowBytes));
  return {
    inputs,
    outputs,
    rowWidth: inputs.reduce((sum, input) => sum + input.width, 0),
    featureNames: manifest.inputs.flatMap((input) => input.features.map((feature) => feature.name)),
    batchRows: fixed ? 1 : Math.min(manifest.maxBatch, maxBatch ?? MAX_BATCH_ROWS, MAX_BATCH_ROWS, fitting),
  };
}
