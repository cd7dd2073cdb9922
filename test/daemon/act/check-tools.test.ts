import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadConfig } from "../../../config/load.ts";
import { check } from "../../../daemon/generation.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-tools-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Every mistake of a configuration, as `path: message`. */
async function mistakes(tools: object, agents: object = {}): Promise<string[]> {
  const file = join(folder, "holdfast.yaml");
  writeFileSync(
    file,
    JSON.stringify({ schemaVersion: 1, endpoints: { hook: { url: "https://x.example" } }, tools, agents }),
  );
  const loaded = loadConfig({ file, environment: {} });
  if (!loaded.ok) return loaded.problems.map((one) => `${one.path}: ${one.message}`);
  const { problems } = await check(loaded, { dataDirectory: folder, bundled: folder });
  return problems.map((one) => `${one.path}: ${one.message}`);
}

const stop = { kind: "mqtt", topic: "plant/{pump}/command" };
const agent = (tool: string, name: string, value: string): object => ({
  guard: {
    sources: [{ kind: "mqtt", topic: "a/{k}", key: "k", fields: { bpm: { private: true }, load: {} } }],
    window: { seconds: 60 },
    features: { mean_bpm: "mean(bpm)", mean_load: "mean(load)" },
    rules: [{ id: "high", when: "features.mean_load > 1", do: [{ tool, arguments: { [name]: value } }] }],
  },
});

test("a readback or interlock on a command's own topic is a mistake: it would hear the command", async () => {
  const verify = { topic: "plant/{pump}/command", when: "payload.cmd == 'stop'", withinSeconds: 3 };
  expect(await mistakes({ stop: { ...stop, verify } })).toEqual([
    expect.stringContaining("tools.stop.verify.topic: this topic may be the one of a command"),
  ]);
  const requires = [{ topic: "plant/p1/command", when: "payload.x > 1", maxAgeSeconds: 5 }];
  expect(await mistakes({ stop: { ...stop, interlocks: { requires } } })).toEqual([
    expect.stringContaining("tools.stop.interlocks.requires[0].topic"),
  ]);
  expect(await mistakes({ stop: { ...stop, verify: { ...verify, topic: "plant/{pump}/state" } } })).toEqual([]);
});

test("a condition over a message may ask what was asked for, and nothing that is not there", async () => {
  const verify = { topic: "plant/{pump}/state", when: "payload.level == arguments.level", withinSeconds: 3 };
  expect(await mistakes({ stop: { ...stop, verify } })).toEqual([]);
  const wrong = { ...verify, when: "answer.score > 1" };
  expect(await mistakes({ stop: { ...stop, verify: wrong } })).toEqual([
    expect.stringContaining('tools.stop.verify.when: there is no "answer" here'),
  ]);
});

test.each(["event.fields.bpm", "string(features.mean_bpm)"])(
  "what is made from a private field (%s) is not told to people or the web",
  async (value) => {
    const tell = { tell: { kind: "notify" } };
    const text = value.startsWith("string") ? value : `string(${value})`;
    expect(await mistakes(tell, agent("tell", "text", text))).toEqual([expect.stringContaining("a private field")]);
    const hook = { hook: { kind: "webhook", endpoint: "hook", body: { x: "{x}" } } };
    expect(await mistakes(hook, agent("hook", "x", value))).toEqual([expect.stringContaining("a private field")]);
    const set = { set: { kind: "mqtt", topic: "plant/command", payload: { x: "{x}" } } };
    expect(await mistakes(set, agent("set", "x", value))).toEqual([]);
    expect(await mistakes(tell, agent("tell", "text", "string(features.mean_load)"))).toEqual([]);
  },
);
