import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { ModelError } from "../errors.ts";
import { type OnnxFile, readOnnx } from "../onnx-file.ts";
import { readTensor, type TensorData, type TensorPlan } from "../tensors.ts";
import type { Frame, LoadOrder } from "./frames.ts";

type Runtime = typeof import("onnxruntime-node");

let runtime: Runtime | undefined;

/**
 * Loaded at the first model: until then a host is a bare process that says hello quickly. On Linux the library of 1.30
 * counts what it is used for, gives the machine an identifier in the user's cache and sends both to its makers, unless
 * this variable is there when it is loaded. From a gateway leaves what its owner said, and nothing else.
 */
async function loadRuntime(): Promise<Runtime> {
  // biome-ignore lint/style/noProcessEnv: the library asks the process's own environment, and nothing else.
  process.env["ORT_DISABLE_TELEMETRY"] = "1";
  runtime ??= await import("onnxruntime-node");
  return runtime;
}

/** Version of the runtime that answers come from. */
export async function runtimeVersion(): Promise<string> {
  const { env } = await loadRuntime();
  return env.versions.node ?? env.versions.common;
}

const ZIPMAP_HINT =
  "Export it without ZipMap: to_onnx(model, sample, options={id(model): {'zipmap': False}}) of skl2onnx, zipmap=False elsewhere.";
const SEVERITY_FATAL = 4;
const RUN_OPTIONS = { logSeverityLevel: SEVERITY_FATAL } as const;

/** One thread and no spinning: spinning threads take a whole core at 50 runs a second. */
const SESSION_OPTIONS: InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: "sequential",
  graphOptimizationLevel: "all",
  logSeverityLevel: SEVERITY_FATAL,
  // Values are strings: a number throws, an unknown key is ignored.
  extra: { session: { intra_op: { allow_spinning: "0" }, inter_op: { allow_spinning: "0" } } },
};

/** A model that is loaded: frames in, tensors out. */
export interface Session {
  readonly opset: number;
  run(frame: Frame): Promise<TensorData[]>;
  release(): Promise<void>;
}

/** Reads the file once, and makes the session from the very bytes whose digest was checked. */
export async function openSession(order: LoadOrder): Promise<Session> {
  const bytes = readModel(order);
  const file = readOnnx(bytes);
  checkFile(file, order);
  const { InferenceSession, Tensor } = await loadRuntime();
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(bytes, SESSION_OPTIONS);
  } catch (cause) {
    throw new ModelError("MODEL_LOAD", { found: textOf(cause) }, { cause });
  }
  try {
    checkSession(session, order);
  } catch (error) {
    await session.release();
    throw error;
  }
  const fetches = order.outputs.map((output) => output.tensor);
  return {
    opset: file.opset,
    release: () => session.release(),
    run: async (frame) => {
      const feeds = feedsOf(order.inputs, frame, Tensor);
      const results = await session.run(feeds, fetches, RUN_OPTIONS);
      return order.outputs.map((output) => dataOf(results[output.tensor], output, frame.rows));
    },
  };
}

function readModel(order: LoadOrder): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(order.file);
  } catch (cause) {
    throw new ModelError("MODEL_MISSING", { found: `${order.file} can not be read.` }, { cause });
  }
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (digest === order.digest) return bytes;
  const size =
    bytes.byteLength === order.sizeBytes ? "" : ` and ${bytes.byteLength} bytes instead of ${order.sizeBytes}`;
  throw new ModelError("MODEL_DIGEST", { found: `It has ${digest}${size}, the manifest says ${order.digest}.` });
}

function checkFile(file: OnnxFile, order: LoadOrder): void {
  if (order.opset !== undefined && order.opset !== file.opset) {
    throw new ModelError("MODEL_SHAPE", {
      found: `The file has opset ${file.opset}, the manifest says ${order.opset}.`,
    });
  }
  if (file.hasExternalData) {
    throw new ModelError(
      "MODEL_FILE",
      { found: "Its weights lie in another file." },
      { hint: "Save it with save_as_external_data=False." },
    );
  }
  for (const output of order.outputs) {
    const declared = file.outputs.find((value) => value.name === output.tensor);
    if (declared !== undefined && declared.kind !== "tensor" && declared.kind !== "unknown") {
      throw new ModelError(
        "MODEL_OUTPUT_KIND",
        { found: `${output.tensor} is a ${declared.kind}.` },
        { hint: ZIPMAP_HINT },
      );
    }
  }
}

function checkSession(session: InferenceSession, order: LoadOrder): void {
  for (const input of order.inputs) checkTensor("input", input, session.inputMetadata);
  for (const output of order.outputs) checkTensor("output", output, session.outputMetadata);
  const unfed = session.inputNames.filter((name) => !order.inputs.some((input) => input.tensor === name));
  if (unfed.length > 0)
    throw new ModelError("MODEL_SHAPE", { found: `The manifest does not feed the input ${unfed.join(", ")}.` });
}

function checkTensor(
  side: "input" | "output",
  plan: TensorPlan,
  known: readonly InferenceSession.ValueMetadata[],
): void {
  const metadata = known.find((value) => value.name === plan.tensor);
  const misfit = (found: string) => new ModelError("MODEL_SHAPE", { found: `The ${side} ${plan.tensor} ${found}.` });
  if (metadata === undefined) {
    throw misfit(`is not there; the model has ${known.map((value) => value.name).join(", ")}`);
  }
  if (!metadata.isTensor)
    throw new ModelError("MODEL_OUTPUT_KIND", { found: `${plan.tensor} is no tensor.` }, { hint: ZIPMAP_HINT });
  if (metadata.type !== plan.type) throw misfit(`is ${metadata.type}, the manifest says ${plan.type}`);
  // Outputs of unknown rank have an empty shape; what comes out is counted at every run anyway.
  if (side === "output" && metadata.shape.length === 0) return;
  if (!shapesFit(plan.shape, metadata.shape)) {
    throw misfit(`has the shape [${metadata.shape.join(", ")}], the manifest says [${plan.shape.join(", ")}]`);
  }
}

function shapesFit(declared: readonly (number | "N")[], actual: readonly (number | string)[]): boolean {
  if (declared.length !== actual.length) return false;
  return declared.every((size, i) => {
    const real = actual[i];
    return typeof real === "string" || real === size;
  });
}

/** Each tensor gets an array of its own: the runtime takes inputs by reference and reads them later. */
function feedsOf(inputs: readonly TensorPlan[], frame: Frame, tensor: Runtime["Tensor"]): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  let at = 0;
  for (const { tensor: name, type, width, shape } of inputs) {
    const { data, end } = readTensor(type, frame.rows * width, frame.body, at);
    feeds[name] = new tensor(type as "float32", data as Float32Array, [frame.rows, ...(shape.slice(1) as number[])]);
    at = end;
  }
  if (at !== frame.body.byteLength)
    throw new ModelError("FRAME_INVALID", { found: "bytes are left over after the rows" });
  return feeds;
}

function dataOf(result: Tensor | undefined, plan: TensorPlan, rows: number): TensorData {
  const data = result?.data as TensorData | undefined;
  if (data?.length !== rows * plan.width) {
    throw new ModelError("MODEL_RUN", {
      found: `${plan.tensor} has ${data?.length ?? 0} elements instead of ${rows * plan.width}.`,
    });
  }
  return data;
}

/** The runtime's errors have no code: their text is all there is. */
export function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, " ").slice(0, 500);
}
