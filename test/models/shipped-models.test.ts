import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../config/load.ts";
import { vitalFields } from "../../daemon/sources/vitals-parse.ts";
import { goldenSchema } from "../../models/golden.ts";
import { parseManifest, planOf } from "../../models/manifest.ts";
import { answerDifference } from "../../models/tolerance.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folders = ["models/bundled", "config/examples"].flatMap((parent) =>
  readdirSync(join(root, parent), { recursive: true, encoding: "utf8" })
    .filter((path) => basename(path) === "manifest.json")
    .map((path) => join(parent, dirname(path))),
);

const read = (folder: string, file: string): unknown => JSON.parse(readFileSync(join(root, folder, file), "utf8"));

function manifestOf(folder: string) {
  const parsed = parseManifest(read(folder, "manifest.json"));
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  return parsed.manifest;
}

it("there are models to look at", () => {
  expect(folders).toContain("models/bundled/host-anomaly/1");
  expect(folders).toContain("config/examples/machine-temperature/model");
});

describe.each(folders)("%s", (folder) => {
  const manifest = manifestOf(folder);
  const file = readFileSync(join(root, folder, "model.onnx"));
  const golden = goldenSchema.parse(read(folder, "golden.json"));
  const names = manifest.inputs.flatMap((input) => input.features.map((feature) => feature.name));

  it("holds the file that its manifest names, and a small one", () => {
    expect(`sha256:${createHash("sha256").update(file).digest("hex")}`).toBe(manifest.digest);
    expect(file.length).toBe(manifest.sizeBytes);
    expect(file.length).toBeLessThanOrEqual(50_000);
  });

  it("stands in the folder of its name and version, when it is a bundled one", () => {
    if (!folder.startsWith("models/bundled/")) return;
    expect([basename(dirname(folder)), Number(basename(folder))]).toEqual([manifest.name, manifest.version]);
  });

  it("has golden rows of the width of its input, each with every output", () => {
    expect(golden.outputs).toHaveLength(golden.inputs.length);
    for (const row of golden.inputs) expect(row).toHaveLength(planOf(manifest).rowWidth);
    for (const answer of golden.outputs)
      expect(Object.keys(answer)).toEqual(manifest.outputs.map((output) => output.name));
  });

  it("answers its golden rows as it did where it was trained", async () => {
    const session = await InferenceSession.create(file, { intraOpNumThreads: 1 });
    const rows = golden.inputs.map((row) => row.map(Number));
    const result = await session.run({ features: new Tensor("float32", rows.flat(), [rows.length, names.length]) });
    for (const [i, expected] of golden.outputs.entries()) {
      const answer = Object.fromEntries(
        manifest.outputs.map((output) => [output.name, result[output.tensor]?.data[i] as number]),
      );
      expect(answerDifference(expected, answer, manifest.tolerance)).toBeUndefined();
    }
    await session.release();
  });

  it("has golden rows on both sides of its threshold", () => {
    for (const { output, value } of manifest.thresholds) {
      const scores = golden.outputs.map((answer) => Number(answer[output]));
      expect(Math.min(...scores)).toBeLessThan(value);
      expect(Math.max(...scores)).toBeGreaterThan(value);
    }
  });

  it("has a reference profile of the same features, in the same order, with rising deciles", () => {
    const reference = read(folder, String(manifest.reference)) as {
      features: { name: string; unit: string; deciles: number[] }[];
    };
    expect(reference.features.map((feature) => feature.name)).toEqual(names);
    for (const { deciles } of reference.features) {
      expect(deciles).toHaveLength(11);
      expect(deciles).toEqual([...deciles].sort((a, b) => a - b));
    }
  });

  it("names a training script that is there", () => {
    expect(existsSync(join(root, manifest.training?.script ?? "missing"))).toBe(true);
  });
});

describe.each([
  ["this-machine", "host-anomaly", "models/bundled/host-anomaly/1"],
  ["machine-temperature", "machine-temperature", "config/examples/machine-temperature/model"],
])("the example %s", (example, agentName, folder) => {
  const loaded = loadConfig({ file: join(root, "config/examples", example, "holdfast.yaml"), environment: {} });

  it("loads, and computes what its model takes, in its order", () => {
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const agent = loaded.config.generation.agents[agentName];
    const inputs = manifestOf(folder).inputs.flatMap((input) => input.features);
    expect(Object.keys(agent?.features ?? {})).toEqual(inputs.map((input) => input.name));
  });

  it("asks for vitals that there are, with the units that the model was trained with", () => {
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const units: Record<string, { unit: string }> = vitalFields;
    const agent = loaded.config.generation.agents[agentName];
    const fields = (agent?.sources ?? []).flatMap((source) => (source.kind === "vitals" ? (source.fields ?? []) : []));
    expect(fields.filter((field) => units[field] === undefined)).toEqual([]);
    for (const { name, unit } of manifestOf(folder).inputs.flatMap((input) => input.features)) {
      const field = fields.find((candidate) => name.startsWith(`${candidate}_`));
      if (field !== undefined) expect(unit).toBe(units[field]?.unit);
    }
  });
});
