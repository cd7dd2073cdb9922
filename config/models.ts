import { z } from "zod";
import { described } from "./described.ts";

export const modelSchema = z.strictObject({
  directory: described(
    z.string().optional(),
    "Folder with model.onnx and manifest.json, relative to this file; default: the library, then the bundled models.",
    "./machine-temperature",
  ),
  version: described(z.number().int().positive().optional(), "The version to use; default: the newest.", 3),
  digest: described(
    z
      .string()
      .regex(/^sha256:[0-9a-f]{64}$/)
      .optional(),
    "The digest that model.onnx must have.",
    `sha256:${"0".repeat(64)}`,
  ),
  lane: described(z.string().default("main"), "The inference host it runs in.", "main"),
  deadlineSeconds: described(z.number().positive().default(1), "How long an answer may take, in seconds.", 1),
  hardTimeoutSeconds: described(
    z.number().positive().default(2),
    "A run that takes longer ends with its host killed, in seconds.",
    2,
  ),
  maxBatch: described(
    z.number().int().min(1).max(64).optional(),
    "How many rows are run at once; default: the manifest's.",
    64,
  ),
});
export type ModelConfig = z.infer<typeof modelSchema>;
