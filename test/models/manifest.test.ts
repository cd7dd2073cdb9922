import { describe, expect, it } from "vitest";
import { fitModel } from "../../models/fit.ts";
import { parseManifest, planOf } from "../../models/manifest.ts";
import { answerDifference } from "../../models/tolerance.ts";
import { manifestOf } from "./support.ts";

const problemsOf = (change: (manifest: ReturnType<typeof manifestOf>) => void): string[] => {
  const manifest = structuredClone(manifestOf("labels"));
  change(manifest);
  const parsed = parseManifest(manifest);
  return parsed.ok ? [] : parsed.problems;
};

describe("a manifest", () => {
  it("becomes a plan: widths, batch, names", () => {
    expect(planOf(manifestOf("mixed"))).toMatchObject({
      rowWidth: 5,
      batchRows: 64,
      featureNames: ["count", "on", "label", "gain", "small"],
    });
    expect(planOf(manifestOf("fixed-one"))).toMatchObject({ rowWidth: 4, batchRows: 1 });
    expect(planOf(manifestOf("linear"), 8).batchRows).toBe(8);
    expect(planOf({ ...manifestOf("linear"), maxBatch: 500 }).batchRows).toBe(64);
  });

  it("says every mistake at once, with its place", () => {
    expect(problemsOf((m) => void Object.assign(m, { name: "No", digest: "md5:1", surprise: 1 })).length).toBe(3);
    expect(
      problemsOf((m) => {
        m.inputs[0]!.features = [{ name: "a" }];
      }),
    ).toEqual(["inputs.0.features: 1 features for a row of 2 elements"]);
    expect(
      problemsOf((m) => {
        m.inputs[0]!.features = [{ name: "a" }, { name: "a" }];
      }),
    ).toEqual(["inputs: the feature a is there twice"]);
    expect(
      problemsOf((m) => {
        m.inputs[0]!.shape = [2, 2];
      })[0],
    ).toContain('the first dimension is "N"');
    expect(
      problemsOf((m) => {
        m.inputs[0]!.shape = [1, 2];
      }),
    ).toEqual(['shape: all tensors have the same first dimension, "N" or 1']);
    expect(
      problemsOf((m) => {
        m.outputs[1]!.classes = ["x"];
      }),
    ).toEqual(["outputs.1.classes: 1 names for 3 elements"]);
    expect(
      problemsOf((m) => {
        m.thresholds = [{ output: "nothing", value: 1, meaning: "" }];
      }),
    ).toEqual(["thresholds: there is no output nothing"]);
    expect(
      problemsOf((m) => {
        m.golden = "../../etc/passwd";
      })[0],
    ).toContain("a file beside the manifest");
  });
});

describe("an agent's features and a model's inputs", () => {
  const manifest = manifestOf("linear");
  manifest.inputs[0]!.features = [
    { name: "vibration", unit: "mm/s" },
    { name: "temperature", unit: "degC" },
  ];

  it("fit by name, order and unit; an agent without a unit is believed", () => {
    expect(fitModel(manifest, [{ name: "vibration", unit: "mm/s" }, { name: "temperature" }])).toEqual([]);
  });

  it("do not fit, with the reason as a sentence", () => {
    expect(fitModel(manifest, [{ name: "temperature" }, { name: "vibration" }])).toEqual([
      "The order differs from input 1 on: the model linear 1 takes vibration, temperature, the agent gives temperature, vibration.",
    ]);
    expect(fitModel(manifest, [{ name: "vibration" }, { name: "temp" }])).toEqual([
      "The model linear 1 takes temperature, which the agent does not give.",
      "The agent gives temp, which the model linear 1 does not take.",
    ]);
    expect(fitModel(manifest, [{ name: "vibration" }])[0]).toBe(
      "The model linear 1 takes 2 features, the agent gives 1.",
    );
    expect(
      fitModel(manifest, [
        { name: "vibration", unit: "g" },
        { name: "temperature", unit: "K" },
      ]),
    ).toEqual([
      "The model linear 1 was trained with vibration in mm/s, the agent gives g.",
      "The model linear 1 was trained with temperature in degC, the agent gives K.",
    ]);
  });
});

it("answers are compared within the tolerance, labels and texts exactly", () => {
  const tolerance = { absolute: 1e-6, relative: 1e-5 };
  expect(
    answerDifference({ a: 100, b: [1, 2], c: "x" }, { a: 100.0005, b: [1, 2], c: "x" }, tolerance),
  ).toBeUndefined();
  expect(answerDifference({ a: 100 }, { a: 100.01 }, tolerance)).toBe("a is 100.01 instead of 100");
  expect(answerDifference({ b: [1, 2] }, { b: [1, 3] }, tolerance)).toBe("b[1] is 3 instead of 2");
  expect(answerDifference({ c: "x" }, { c: "y" }, tolerance)).toBe("c is y instead of x");
  expect(answerDifference({ a: 1 }, { a: Number.NaN }, tolerance)).toBe("a is NaN instead of 1");
});
