export const modelErrors = {
  MODEL_MANIFEST: "The manifest has mistakes.",
  MODEL_MISSING: "There is no such model.",
  MODEL_DIGEST: "The file is not the one its manifest names.",
  MODEL_FILE: "The file can not be read as an ONNX model.",
  MODEL_LOAD: "The runtime can not load the model.",
  MODEL_SHAPE: "The model's tensors are not what its manifest says.",
  MODEL_OUTPUT_KIND: "The model has an output that is no tensor.",
  MODEL_GOLDEN: "The model does not give the answers that came with it.",
  MODEL_CONFLICT: "Another model with this name and version is in the library.",
  MODEL_INPUT: "The row does not fit the model's input.",
  MODEL_RUN: "The model failed to run.",
  WINDOW_FEATURE: "A feature can not be computed from its field.",
  FRAME_INVALID: "A frame between daemon and host is damaged.",
  HOST_PROTOCOL: "Daemon and host speak different versions of their protocol.",
  HOST_GONE: "The inference host ended.",
  HOST_TIMEOUT: "The inference host did not answer in time.",
} as const;

export type ModelErrorCode = keyof typeof modelErrors;

/** An error of models, their files or their hosts; `code` is what callers branch on. */
export class ModelError extends Error {
  override readonly name = "ModelError";
  readonly code: ModelErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: ModelErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string | undefined } = {},
  ) {
    super(modelErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}

/** One line for status and logs: the sentence, what was found, and what to do. */
export function sentenceOf(error: { message: string; detail?: unknown; hint?: string | undefined }): string {
  const found = (error.detail as { found?: unknown } | undefined)?.found;
  const parts = [error.message, typeof found === "string" ? found : "", error.hint ?? ""];
  return parts.filter((part) => part !== "").join(" ");
}
