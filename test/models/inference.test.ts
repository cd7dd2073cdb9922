import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Inference, InferResult, ModelHandle } from "../../models/inference.ts";
import { ask, isAlive, modelDirectory, newInference, specOf, until } from "./support.ts";

const golden = (name: string) => JSON.parse(readFileSync(`${modelDirectory(name)}/golden.json`, "utf8"));

describe("answers of models in a host", () => {
  let inference: Inference;
  const models: Record<string, ModelHandle> = {};
  const load = async (name: string): Promise<ModelHandle> => (models[name] ??= await inference.load(specOf(name)));

  beforeAll(async () => {
    ({ inference } = newInference());
    await inference.start();
  });
  afterAll(() => inference.stop());

  it.each(["linear", "autoencoder-16", "double", "fixed-one", "gather", "logarithm", "zipmap-label-only"])(
    "gives the golden answers of %s",
    async (name) => {
      const model = await load(name);
      expect(inference.status(model)).toMatchObject({ name, version: 1, state: "ready", strikes: 0, lane: "main" });
      const { inputs, outputs } = golden(name);
      for (const [i, row] of inputs.entries()) {
        const result = await ask(inference, model, row);
        expect(result).toMatchObject({ ok: true, batch: 1 });
        for (const key of Object.keys(outputs[i]))
          expect((result as { answer: Record<string, number> }).answer[key]).toBeCloseTo(outputs[i][key], 4);
      }
    },
  );

  it("takes int64, bool, text, float64 and int32 side by side, and gives them back as JavaScript has them", async () => {
    const model = await load("mixed");
    const result = await ask(inference, model, [21, true, "größer 泵", 0.1, -3]);
    expect(result).toMatchObject({ ok: true, answer: { total: 42, echo: "größer 泵", off: false, product: 0.1 * -3 } });
  });

  it("gives an int64 beyond 2^53 as text, so that JSON can carry it", async () => {
    const model = await load("mixed");
    const result = await ask(inference, model, ["4611686018427387904", false, "", 0, 0]);
    expect(result).toMatchObject({ ok: true, answer: { total: "4611686018427387904" } });
    expect(JSON.stringify(result)).toContain("4611686018427387904");
  });

  it("gives labels as numbers and probabilities as lists", async () => {
    const model = await load("labels");
    const result = await ask(inference, model, [0, 2]);
    expect(result).toMatchObject({
      ok: true,
      answer: { label: 1, probability: [expect.any(Number), expect.any(Number), expect.any(Number)] },
    });
  });

  it("runs rows that came together in one batch, with the answers of single rows", async () => {
    const model = await load("autoencoder-16");
    const rows = Array.from({ length: 64 }, (_, r) => Array.from({ length: 16 }, (_, i) => Math.sin(r * 16 + i)));
    const together = await Promise.all(rows.map((row) => ask(inference, model, row)));
    expect(together.every((result) => result.ok && result.batch > 1)).toBe(true);
    for (const [r, row] of rows.entries()) {
      const alone = await ask(inference, model, row);
      expect(alone).toMatchObject({ ok: true, batch: 1 });
      const [a, b] = [alone, together[r]] as unknown as { answer: { score: number } }[];
      expect(
        Math.abs((a as { answer: { score: number } }).answer.score - (b as { answer: { score: number } }).answer.score),
      ).toBeLessThan(1e-6);
    }
  });

  it("runs one row at a time where the model takes no more", async () => {
    const model = await load("fixed-one");
    const results = await Promise.all([1, 2, 3, 4, 5].map((x) => ask(inference, model, [x, x, x, x])));
    expect(results.map((result) => (result.ok ? [result.answer.mean, result.batch] : result))).toEqual(
      [1, 2, 3, 4, 5].map((x) => [x, 1]),
    );
  });

  it("refuses a row with NaN, infinity, a float32 overflow or a wrong type before it reaches the model", async () => {
    const linear = await load("linear");
    for (const row of [
      [Number.NaN, 1],
      [1, Number.POSITIVE_INFINITY],
      [1e300, 1],
      [1],
      [1, 2, 3],
      ["1", 2],
      [true, 2],
    ]) {
      expect(await ask(inference, linear, row)).toMatchObject({ ok: false, reason: "inputInvalid" });
    }
    const mixed = await load("mixed");
    for (const row of [
      [1.5, true, "", 0, 0],
      [1, 2, "", 0, 0],
      [1, true, 3, 0, 0],
      [1, true, "", 0, 2 ** 31],
      ["9".repeat(30), true, "", 0, 0],
    ]) {
      expect(await ask(inference, mixed, row)).toMatchObject({ ok: false, reason: "inputInvalid" });
    }
  });

  it("refuses only the row whose answer is not finite", async () => {
    const model = await load("logarithm");
    const results = await Promise.all([1, 0, Math.E, -1].map((x) => ask(inference, model, [x])));
    expect(results.map((result) => (result.ok ? "ok" : result.reason))).toEqual([
      "ok",
      "outputInvalid",
      "ok",
      "outputInvalid",
    ]);
    expect(results[1]).toMatchObject({ detail: "score is not finite" });
  });

  it("fails only the row that the runtime can not run, when its batch fails", async () => {
    const model = await load("gather");
    const results = await Promise.all([0, 1, 99, 2].map((i) => ask(inference, model, [i])));
    expect(results.map((result) => (result.ok ? result.answer.found : result.reason))).toEqual([
      10,
      20,
      "runtimeError",
      30,
    ]);
    expect((results[2] as { detail: string }).detail).toContain("out of data bounds");
  });

  it("settles after submit has returned, also what it refuses at once", async () => {
    const model = await load("linear");
    const settled: string[] = [];
    const submit = (row: number[]): void =>
      inference.submit({
        model,
        row,
        priority: 0,
        deadlineBootMs: performance.now() + 5000,
        settle: (result) => settled.push(result.ok ? "ok" : result.reason),
      });
    submit([1, 2]);
    submit([Number.NaN, 2]);
    expect(settled).toEqual([]);
    await until(() => settled.length === 2, "both settled");
    expect(settled.sort()).toEqual(["inputInvalid", "ok"]);
  });

  it("does not look at a row after submit has sent it", async () => {
    const model = await load("linear");
    const row = [1, 1];
    const asked = ask(inference, model, row);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    row.fill(1e9);
    expect(((await asked) as unknown as { answer: { score: number } }).answer.score).toBeCloseTo(0.375, 6);
  });

  it("answers what is urgent first", async () => {
    const model = await load("fixed-one");
    const order: number[] = [];
    const asked = [3, 3, 3, 2, 1, 0].map((priority) =>
      ask(inference, model, [0, 0, 0, 0], { priority: priority as 0 }).then(() => order.push(priority)),
    );
    await Promise.all(asked);
    expect(order).toEqual([0, 1, 2, 3, 3, 3]);
  });

  it("fails what is too late with `deadline`, also when it was too late from the start", async () => {
    const model = await load("linear");
    expect(await ask(inference, model, [1, 2], { deadlineMs: -1 })).toEqual({ ok: false, reason: "deadline" });
  });

  it("says how much room is left and refuses what goes beyond it", async () => {
    const small = newInference({ queueLimit: 4 });
    await small.inference.start();
    const model = await small.inference.load(specOf("linear"));
    expect(small.inference.room(2)).toBe(4);
    const asked = Array.from({ length: 6 }, () => ask(small.inference, model, [1, 2], { priority: 2 }));
    expect(small.inference.room(2, model)).toBe(0);
    expect(small.inference.room(0, model)).toBe(4);
    const results = await Promise.all(asked);
    expect(results.filter((result) => !result.ok).map((result) => (result as { reason: string }).reason)).toEqual([
      "overloaded",
      "overloaded",
    ]);
    await small.inference.stop();
  });

  it("lets a model go", async () => {
    const model = await inference.load(specOf("linear"));
    inference.unload(model);
    expect(await ask(inference, model, [1, 2])).toMatchObject({ ok: false, reason: "hostDown" });
    expect(inference.status(model)).toBeUndefined();
  });

  it("says which hosts there are and what they take", async () => {
    await load("linear");
    const [host] = inference.hosts();
    expect(host).toMatchObject({ lane: "main", restarts: 0, state: "ready" });
    expect(host?.residentBytes).toBeGreaterThan(20e6);
    expect(isAlive(host?.pid ?? 0)).toBe(true);
  });
});

describe("models that are refused", () => {
  it.each([
    ["nan-weights", "weights may be damaged"],
    ["neighbours", "Row 0: score is 0 instead of -1"],
    ["zipmap", "zipmap"],
    ["cut-short", "cut short"],
  ])("says why %s can not be used, and the others go on", async (name, why) => {
    const { inference } = newInference();
    await inference.start();
    const bad = await inference.load(specOf(name));
    const good = await inference.load(specOf("linear"));
    expect(inference.status(bad)).toMatchObject({ state: "refused", strikes: 0, reason: expect.stringContaining(why) });
    expect(
      await ask(
        inference,
        bad,
        bad.plan.inputs.flatMap((input) => new Array<number>(input.width).fill(0)),
      ),
    ).toMatchObject({ ok: false, reason: "quarantined" });
    expect(await ask(inference, good, [1, 2])).toMatchObject({ ok: true });
    await inference.stop();
  });

  it.each<[string, (manifest: ReturnType<typeof specOf>["manifest"]) => void, string]>([
    [
      "an input of another name",
      (m) => {
        m.inputs[0]!.tensor = "y";
      },
      "is not there; the model has x",
    ],
    [
      "an input of another type",
      (m) => {
        m.inputs[0]!.type = "float64";
      },
      "is float32, the manifest says float64",
    ],
    [
      "an output of another shape",
      (m) => {
        m.outputs[0]!.shape = ["N", 2];
      },
      "has the shape [N, 1]",
    ],
    [
      "another opset",
      (m) => {
        m.opset = 11;
      },
      "opset 17, the manifest says 11",
    ],
    [
      "another digest",
      (m) => {
        m.digest = `sha256:${"0".repeat(64)}`;
      },
      "The file is not the one",
    ],
    [
      "no golden vectors",
      (m) => {
        m.golden = "elsewhere.json";
      },
      "elsewhere.json can not be read",
    ],
  ])("refuses a manifest with %s", async (_what, change, why) => {
    const { inference } = newInference();
    await inference.start();
    const spec = specOf("linear");
    change(spec.manifest);
    const model = await inference.load(spec);
    expect(inference.status(model)).toMatchObject({ state: "refused", reason: expect.stringContaining(why) });
    await inference.stop();
  });
});

describe("stopping", () => {
  it("settles everything exactly once and leaves no process, in the middle of a run that never ends", async () => {
    const { inference } = newInference();
    await inference.start();
    const hanging = await inference.load(specOf("hanging", { hardTimeoutMs: 60_000 }));
    const linear = await inference.load(specOf("linear", { lane: "other" }));
    const pids = inference.hosts().map((host) => host.pid);
    const results: InferResult[] = [];
    const submit = (model: ModelHandle, row: number[]): void =>
      inference.submit({
        model,
        row,
        priority: 1,
        deadlineBootMs: performance.now() + 60_000,
        settle: (result) => results.push(result),
      });
    submit(hanging, [1e9]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (let i = 0; i < 200; i++) submit(i % 2 === 0 ? hanging : linear, i % 2 === 0 ? [1] : [1, 2]);
    await inference.stop();
    expect(results.length).toBe(201);
    expect(pids.some(isAlive)).toBe(false);
    submit(linear, [1, 2]);
    await until(() => results.length === 202, "settled after the stop");
    expect(results.at(-1)).toMatchObject({ ok: false, reason: "hostDown" });
  });
});
