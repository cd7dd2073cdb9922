import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { draftManifest } from "../../models/draft.ts";
import { Library } from "../../models/library.ts";
import { openModel, runOnce } from "../../models/one-model.ts";
import { ask, hostPath, manifestOf, modelDirectory, newInference, specOf } from "./support.ts";

const folder = (): string => mkdtempSync(join(tmpdir(), "library-"));

function copyOf(name: string, change: (manifest: Record<string, unknown>) => void = () => {}): string {
  const target = join(folder(), name);
  cpSync(modelDirectory(name), target, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(target, "manifest.json"), "utf8"));
  change(manifest);
  writeFileSync(join(target, "manifest.json"), JSON.stringify(manifest));
  return target;
}

describe("the library", () => {
  it("keeps models by digest and finds them by name, version and digest", async () => {
    const directory = join(folder(), "models");
    const library = new Library(directory);
    expect(await library.list()).toEqual({ models: [], broken: [] });
    const added = await library.add(modelDirectory("linear"));
    expect(added.directory).toBe(join(directory, manifestOf("linear").digest.slice(7)));
    expect(readdirSync(directory)).toEqual([manifestOf("linear").digest.slice(7)]);
    expect(readdirSync(added.directory).sort()).toEqual(["golden.json", "manifest.json", "model.onnx"]);
    expect(await library.add(modelDirectory("linear"))).toEqual(added);
    expect((await library.find({ name: "linear" }))?.manifest.version).toBe(1);
    expect(await library.find({ name: "linear", version: 2 })).toBeUndefined();
    expect(await library.find({ name: "linear", digest: `sha256:${"0".repeat(64)}` })).toBeUndefined();
  });

  it("gives the newest version unless one is named, its own before the bundled ones", async () => {
    const bundled = folder();
    const place = (name: string, version: number): void => {
      const source = copyOf(name, (manifest) => Object.assign(manifest, { name: "pump", version }));
      cpSync(source, join(bundled, "pump", String(version)), { recursive: true });
    };
    place("linear", 2);
    place("double", 10);
    const library = new Library(join(folder(), "models"), bundled);
    expect(await library.find({ name: "pump" })).toMatchObject({ origin: "bundled", manifest: { version: 10 } });
    expect(await library.find({ name: "pump", version: 2 })).toMatchObject({ manifest: { version: 2 } });
    await library.add(copyOf("labels", (manifest) => Object.assign(manifest, { name: "pump", version: 3 })));
    expect(await library.find({ name: "pump" })).toMatchObject({ origin: "library", manifest: { version: 3 } });
  });

  it("refuses a changed byte, another size, other golden vectors and another model of the same name and version", async () => {
    const library = new Library(join(folder(), "models"));
    const flipped = copyOf("linear");
    const bytes = readFileSync(join(flipped, "model.onnx"));
    bytes[bytes.byteLength - 20]! ^= 1;
    writeFileSync(join(flipped, "model.onnx"), bytes);
    await expect(library.add(flipped)).rejects.toMatchObject({ code: "MODEL_DIGEST" });
    await expect(library.add(copyOf("linear", (m) => Object.assign(m, { sizeBytes: 5 })))).rejects.toMatchObject({
      code: "MODEL_DIGEST",
    });
    await expect(library.add(copyOf("linear", (m) => Object.assign(m, { opset: 9 })))).rejects.toMatchObject({
      code: "MODEL_SHAPE",
    });
    await expect(library.add(folder())).rejects.toMatchObject({ code: "MODEL_MISSING" });
    const damaged = copyOf("linear");
    appendFileSync(join(damaged, "golden.json"), "}");
    await expect(library.add(damaged)).rejects.toMatchObject({ code: "MODEL_GOLDEN" });
    await library.add(modelDirectory("linear"));
    await expect(library.add(copyOf("double", (m) => Object.assign(m, { name: "linear" })))).rejects.toMatchObject({
      code: "MODEL_CONFLICT",
      hint: "Give the new one a higher version.",
    });
    expect((await library.list()).models.length).toBe(1);
  });

  it("says what is broken in it, and clears what a power cut left", async () => {
    const directory = join(folder(), "models");
    const library = new Library(directory);
    mkdirSync(join(directory, "f".repeat(64)), { recursive: true });
    const left = join(directory, ".incoming-left");
    mkdirSync(left);
    utimesSync(left, 0, 0);
    await library.add(modelDirectory("linear"));
    const { models, broken } = await library.list();
    expect(models.length).toBe(1);
    expect(broken).toEqual([
      { directory: join(directory, "f".repeat(64)), reason: expect.stringContaining("There is no such model.") },
    ]);
    expect(readdirSync(directory)).not.toContain(".incoming-left");
  });

  it("does not let a byte that changed later reach a session", async () => {
    const library = new Library(join(folder(), "models"));
    const { directory, manifest } = await library.add(modelDirectory("linear"));
    const bytes = readFileSync(join(directory, "model.onnx"));
    bytes[bytes.byteLength - 60]! ^= 1;
    writeFileSync(join(directory, "model.onnx"), bytes);
    const { inference } = newInference();
    await inference.start();
    const model = await inference.load({ ...specOf("linear"), directory, manifest });
    expect(inference.status(model)).toMatchObject({
      state: "refused",
      reason: expect.stringContaining("The file is not the one its manifest names."),
    });
    await inference.stop();
  });
});

describe("a draft", () => {
  it("of a file can be taken in and answers its own golden vectors", async () => {
    const library = new Library(join(folder(), "models"));
    const file = join(modelDirectory("labels"), "model.onnx");
    const draft = await draftManifest(file, { hostPath, name: "drafted" });
    expect(draft.manifest).toMatchObject({
      name: "drafted",
      version: 1,
      opset: 17,
      inputs: [{ tensor: "x", shape: ["N", 2], features: [{ name: "f0" }, { name: "f1" }] }],
      outputs: [
        { name: "label", role: "label" },
        { name: "probabilities", role: "probability", shape: ["N", 3] },
      ],
    });
    expect(draft.notes.join("\n")).toMatch(/f0 to f1 are placeholders[\s\S]*licence[\s\S]*unit[\s\S]*thresholds/);
    expect(await draftManifest(file, { hostPath, name: "drafted" })).toEqual(draft);
    const { directory, manifest } = await library.addDraft(file, draft);
    const { inference } = newInference();
    await inference.start();
    const model = await inference.load({ ...specOf("labels"), directory, manifest });
    expect(inference.status(model)?.state).toBe("ready");
    expect(await ask(inference, model, draft.golden.inputs[0] ?? [])).toMatchObject({
      ok: true,
      answer: draft.golden.outputs[0],
    });
    await inference.stop();
  });

  it("leaves out what can not be fetched and says how to export it", async () => {
    const { manifest, notes } = await draftManifest(join(modelDirectory("zipmap"), "model.onnx"), {
      hostPath,
      name: "zipped",
    });
    expect(manifest.outputs.map((output) => output.name)).toEqual(["label"]);
    expect(notes.join("\n")).toContain("'zipmap': False");
  });

  it("finds tamer rows for a model that gives no number for some, and sees answers that depend on the batch", async () => {
    const logarithm = await draftManifest(join(modelDirectory("logarithm"), "model.onnx"), { hostPath, name: "log" });
    expect(logarithm.golden.inputs.flat().every((x) => typeof x === "number" && x > 0)).toBe(true);
    const neighbours = await draftManifest(join(modelDirectory("neighbours"), "model.onnx"), { hostPath, name: "n" });
    expect(neighbours.manifest.maxBatch).toBe(1);
  });

  it("of a damaged or missing file is refused", async () => {
    await expect(draftManifest(join(modelDirectory("cut-short"), "model.onnx"), { hostPath })).rejects.toMatchObject({
      code: "MODEL_FILE",
    });
    await expect(draftManifest("/nowhere/x.onnx", { hostPath })).rejects.toMatchObject({ code: "MODEL_MISSING" });
  });
});

describe("one model alone", () => {
  it("gives the same answer, bit for bit, in a fresh host", async () => {
    const { inference } = newInference();
    await inference.start();
    const model = await inference.load(specOf("autoencoder-16"));
    const row = Array.from({ length: 16 }, (_, i) => Math.cos(i * 0.7));
    const batch = await Promise.all(Array.from({ length: 10 }, () => ask(inference, model, row)));
    await inference.stop();
    const first = batch[0] as { answer: unknown; batch: number };
    expect(await runOnce(modelDirectory("autoencoder-16"), row, first.batch, { hostPath })).toEqual(first.answer);
  });

  it("says what went wrong by code", async () => {
    const options = { hostPath, timeoutMs: 700 };
    await expect(runOnce(modelDirectory("linear"), [1], 1, options)).rejects.toMatchObject({ code: "MODEL_INPUT" });
    await expect(runOnce(modelDirectory("gather"), [99], 1, options)).rejects.toMatchObject({ code: "MODEL_RUN" });
    await expect(runOnce(modelDirectory("hanging"), [1e9], 1, options)).rejects.toMatchObject({ code: "HOST_TIMEOUT" });
    await expect(runOnce(modelDirectory("zipmap"), [1, 2], 1, options)).rejects.toMatchObject({
      code: "MODEL_OUTPUT_KIND",
    });
    if (process.arch === "x64")
      await expect(runOnce(modelDirectory("crashing"), [-(2 ** 31), -1], 1, options)).rejects.toMatchObject({
        code: "HOST_GONE",
      });
    await expect(openModel({} as never, options)).rejects.toMatchObject({ code: "MODEL_MISSING" });
  });
});
