import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import {
  Inference,
  type InferenceOptions,
  type InferResult,
  type InputRow,
  type ModelHandle,
  type ModelSpec,
} from "../../models/inference.ts";
import { type Manifest, parseManifest } from "../../models/manifest.ts";

export const hostPath = fileURLToPath(new URL("../../dist/models/host/main.js", import.meta.url));

export const modelDirectory = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/models/${name}`, import.meta.url));

export function manifestOf(name: string): Manifest {
  const parsed = parseManifest(JSON.parse(readFileSync(`${modelDirectory(name)}/manifest.json`, "utf8")));
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  return parsed.manifest;
}

export const specOf = (name: string, more: Partial<ModelSpec> = {}): ModelSpec => ({
  directory: modelDirectory(name),
  manifest: manifestOf(name),
  lane: "main",
  deadlineMs: 60_000,
  hardTimeoutMs: 10_000,
  ...more,
});

export interface LogLine {
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** Inference with the real host, and everything that it logged. */
export function newInference(
  options: Partial<InferenceOptions> = {},
  host = hostPath,
): { inference: Inference; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write = (fields: object, message: string): void => void lines.push({ fields: { ...fields }, message });
  const inference = new Inference(
    { hostPath: host, clock: { bootMs: () => performance.now() }, log: { info: write, warn: write } },
    options,
  );
  return { inference, lines };
}

export const ask = (
  inference: Inference,
  model: ModelHandle,
  row: InputRow,
  more: { priority?: 0 | 1 | 2 | 3; deadlineMs?: number } = {},
): Promise<InferResult> =>
  new Promise((settle) => {
    const deadlineBootMs = performance.now() + (more.deadlineMs ?? 60_000);
    inference.submit({ model, row, priority: more.priority ?? 1, deadlineBootMs, settle });
  });

export async function until(isTrue: () => boolean, what: string, withinMs = 60_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie is no process any more, only its parent has not looked yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}
