import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { fileIn, type MadePass, runReplay, writeLog } from "./support.ts";

const yaml = `
agents:
  scale:
    sources: [{ kind: mqtt, topic: "scale/{id}", key: id, fields: { x: { min: -10, max: 10 } } }]
    model: double
    record: { quiet: all }
    rules: [{ id: heavy, when: answer.y > 1.0, do: [{ tool: drop, arguments: { id: event.key, weight: answer.y } }] }]
tools: { drop: { kind: mqtt, topic: "scale/{id}/drop", class: reversible } }
policy: [{ id: open, effect: permit }]
`;

const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/models/${name}`, import.meta.url));
const manifestText = readFileSync(join(fixture("double"), "manifest.json"), "utf8");
/** What answered then: version 0's successor of another file, which doubled; the fixture trebles. */
const older = manifestText.replace(/sha256:[0-9a-f]{64}/, `sha256:${"0".repeat(64)}`);

function newerModel(directory: string, change: (manifest: Record<string, unknown>) => object = (same) => same): string {
  const folder = join(directory, "candidate");
  cpSync(fixture("double"), folder, { recursive: true });
  const manifest = { ...JSON.parse(manifestText), version: 2 } as Record<string, unknown>;
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(change(manifest)));
  return folder;
}

const passes = [0.2, 0.4, 0.6, 0.3].map(
  (x, at): MadePass => ({ key: "s", atMs: at * 1000, inputs: [x], answer: { y: 2 * x } }),
);
const log = { yaml, agent: "scale", manifest: older, passes, acts: true };

test("a candidate model answers the recorded inputs, and the rules see what it says", async () => {
  const directory = await writeLog(log);
  const { status, report } = await runReplay(directory, "--model", newerModel(directory), "--json");
  expect(status).toBe(0);
  const [model] = report.models;
  expect(model).toMatchObject({ name: "double", version: 2, instead: ["double 1"], agents: ["scale"], rows: 4 });
  expect(model?.outputs["y"]?.max).toBeCloseTo(0.6, 12);
  expect(model?.outputs["y"]?.p50).toBeGreaterThan(0.28);
  expect(model?.outputs["y"]?.p50).toBeLessThan(0.32);
  // 0.6, 1.2, 1.8, 0.9 in place of 0.4, 0.8, 1.2, 0.6: it fires a pass earlier.
  expect(report.agents[0]?.rules[0]).toMatchObject({
    change: "same",
    recorded: 1,
    candidate: 1,
    more: 1,
    fewer: 1,
    moved: 1,
  });
  expect(report.actions.examples.map((one) => [one.what, one.arguments["id"]])).toEqual([
    ["more", "s"],
    ["fewer", "s"],
  ]);
  expect(report.actions.examples[0]?.arguments["weight"]).toBeCloseTo(1.2, 12);
});

test("the same file again makes no difference, in whatever batch it runs", async () => {
  const own = passes.map((pass): MadePass => ({ ...pass, answer: { y: 3 * (pass.inputs[0] as number) } }));
  const directory = await writeLog({ ...log, manifest: manifestText, passes: own });
  const { report, status } = await runReplay(
    directory,
    "--model",
    fixture("double"),
    "--max-difference",
    "0",
    "--json",
  );
  expect([status, report.changed, report.models[0]?.outputs["y"]?.max]).toEqual([0, 0, 0]);
});

test("a rule's condition is tried with the answers of the model that is tried with it", async () => {
  const directory = await writeLog(log);
  const file = fileIn(directory, "agents.yaml", yaml.replace("answer.y > 1.0", "answer.y > 1.5"));
  const both = ["--agents", file, "--model", newerModel(directory)];
  const { report } = await runReplay(directory, ...both, "--json");
  expect(report.agents[0]?.rules[0]).toMatchObject({ change: "changed", recorded: 1, candidate: 1, more: 0, fewer: 0 });
});

test("a row that the model can not answer has no answer, and fires nothing", async () => {
  const rows = [0.9, 0.2].map((x, at): MadePass => ({ key: "s", atMs: at * 1000, inputs: [x], answer: { y: 2 * x } }));
  const text = yaml.replaceAll("double", "logarithm").replaceAll("answer.y", "answer.score");
  const manifest = readFileSync(join(fixture("logarithm"), "manifest.json"), "utf8");
  const made = rows.map((pass) => ({ ...pass, inputs: [pass.atMs === 0 ? -1 : 0.2], answer: { score: 2 } }));
  const directory = await writeLog({ ...log, yaml: text, manifest, passes: made });
  const { report } = await runReplay(directory, "--model", fixture("logarithm"), "--json");
  expect(report.models[0]).toMatchObject({ rows: 2, noAnswer: { outputInvalid: 1 } });
  expect(report.actions).toMatchObject({ recorded: 1, candidate: 0, fewer: 1 });
});

test("a model that does not fit, is damaged or is nobody's is refused", async () => {
  const directory = await writeLog(log);
  const renamed = newerModel(directory, (manifest) => ({
    ...manifest,
    inputs: [{ tensor: "x", type: "float64", shape: ["N", 1], features: [{ name: "weight" }] }],
  }));
  const misfit = await runReplay(directory, "--model", renamed);
  expect(misfit.status).toBe(78);
  expect(JSON.stringify((misfit.error as { problems: unknown }).problems)).toContain("takes weight, which the agent");
  const damaged = newerModel(directory);
  writeFileSync(join(damaged, "model.onnx"), "no model");
  expect((await runReplay(directory, "--model", damaged)).status).toBe(78);
  const other = await runReplay(directory, "--model", fixture("linear"));
  expect(other).toMatchObject({ status: 1, error: { code: "NOTHING_TO_REPLAY", detail: { model: "linear" } } });
});

test("an agent with another model needs that model", async () => {
  const directory = await writeLog(log);
  const file = fileIn(directory, "agents.yaml", yaml.replace("model: double", "model: linear"));
  const { status, report } = await runReplay(directory, "--agents", file, "--json");
  expect(status).toBe(1);
  expect(report.agents[0]?.refused.join()).toContain("its model changed to linear: name its folder with --model");
});
