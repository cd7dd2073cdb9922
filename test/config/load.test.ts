import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../config/load.ts";
import { agentText, loaded, loadText, problemsOf, temporaryFolder, written } from "./workspace.ts";

const environment = {};

describe("loading", () => {
  it("fills every default, so that a file of one agent is enough", () => {
    const { config } = loaded(loadText(agentText));
    expect(config.gateway.bus).toMatchObject({
      kind: "embedded",
      host: "127.0.0.1",
      port: 1883,
      maxUnacknowledged: 1024,
    });
    expect(config.gateway.store.commitDelayMs).toBe(25);
    expect(config.generation.agents["pump"]).toMatchObject({
      priority: "monitor",
      open: { on: "event" },
      record: { quiet: "sample" },
    });
  });

  it("gives a configuration that nobody can change, at any depth", () => {
    const { config } = loaded(loadText(agentText));
    const source = config.generation.agents["pump"]?.sources[0] as { topic: string };
    expect(() => {
      source.topic = "other";
    }).toThrow(TypeError);
  });

  it("tells every mistake at once, in the order of the file", () => {
    const problems = problemsOf(
      loadText("device: { nmae: x }\nstore: { maxBytes: 1 }\nmode: autoo\nmodels: { m: { lane: slow } }\n"),
    );
    expect(problems.map((one) => one.path)).toEqual(["device.nmae", "store.maxBytes", "mode", "models.m.lane"]);
  });

  it("gives later checks the place of a path, and of what surrounds it when it is not there", () => {
    const file = written({ "holdfast.yaml": agentText });
    const result = loaded(loadConfig({ file, environment }));
    expect(result.locate(["agents", "pump", "sources", 0, "topic"])).toEqual({ file, line: 4, column: 30 });
    expect(result.problemAt(["agents", "pump", "model"], "there is no such model", "Add it.")).toEqual({
      file,
      line: 2,
      column: 3,
      path: "agents.pump.model",
      message: "there is no such model",
      hint: "Add it.",
    });
  });

  it("notes which files are part of the generation, with their digests", () => {
    const file = written({ "holdfast.yaml": "device: { name: x }\n", "conf.d/agents.yaml": agentText });
    const { files } = loaded(loadConfig({ file, environment }));
    expect(files.map(({ path, inGeneration }) => [path, inGeneration])).toEqual([
      ["holdfast.yaml", false],
      ["conf.d/agents.yaml", true],
    ]);
    expect(files[1]?.bytes.toString()).toBe(agentText);
    expect(files[1]?.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it("takes relative paths from the file's folder, or from the one that is given", () => {
    const file = written({ "holdfast.yaml": agentText });
    expect(loaded(loadConfig({ file, environment })).baseDirectory).toBe(dirname(file));
    expect(loaded(loadConfig({ file, environment, baseDirectory: "/elsewhere" })).baseDirectory).toBe("/elsewhere");
  });
});

describe("conf.d", () => {
  it("lets the later file win in the gateway's sections, key by key", () => {
    const file = written({
      "holdfast.yaml": "device: { name: main, labels: { site: north } }\nstore: { commitDelayMs: 5 }\n",
      "conf.d/10-a.yaml": "device: { labels: { line: '2' } }\nstore: { commitDelayMs: 6 }\n",
      "conf.d/20-b.yml": "device: { name: b }\n",
      "conf.d/30-c.yaml": "# nothing\n",
      "conf.d/ignored.txt": "device: [",
    });
    const { gateway } = loaded(loadConfig({ file, environment })).config;
    expect(gateway.device).toEqual({ name: "b", labels: { site: "north", line: "2" } });
    expect(gateway.store.commitDelayMs).toBe(6);
  });

  it("refuses an agent that is there twice, and names both places", () => {
    const file = written({ "holdfast.yaml": agentText, "conf.d/more.yaml": `# more\n${agentText}` });
    const [problem] = problemsOf(loadConfig({ file, environment }));
    expect(problem).toMatchObject({
      file: join(dirname(file), "conf.d/more.yaml"),
      line: 3,
      column: 3,
      path: "agents.pump",
    });
    expect(problem?.message).toBe(`"pump" is there twice: here and at ${file}:2:3`);
  });

  it("puts policies after each other, and mistakes into the file they come from", () => {
    const file = written({
      "holdfast.yaml": "policy:\n  - { id: one, effect: forbid }\n",
      "conf.d/more.yaml": "policy:\n  - { id: two, effect: permit }\n  - { id: three, effect: permitt }\n",
    });
    expect(problemsOf(loadConfig({ file, environment }))).toMatchObject([
      {
        file: join(dirname(file), "conf.d/more.yaml"),
        line: 3,
        column: 26,
        path: "policy[2].effect",
        hint: 'Did you mean "permit"?',
      },
    ]);
  });

  it("puts cases of the policy after each other, each with its own place", () => {
    const tool = "tools:\n  tell: { kind: notify }\n";
    const file = written({
      "holdfast.yaml": `${tool}policyTests:\n  - { action: { tool: tell }, expect: permit }\n`,
      "conf.d/more.yaml": "policyTests:\n  - { action: { tool: tell }, expect: deny }\n",
    });
    const all = loaded(loadConfig({ file, environment }));
    expect(all.config.generation.policyTests.map((one) => one.expect)).toEqual(["permit", "deny"]);
    expect(all.locate(["policyTests", 0, "expect"])).toEqual({ file, line: 4, column: 39 });
    expect(all.locate(["policyTests", 1, "expect"])).toEqual({
      file: join(dirname(file), "conf.d/more.yaml"),
      line: 2,
      column: 39,
    });
  });

  it("puts a candidate policy in place of all others, with mistakes at their place in it", () => {
    const file = written({
      "holdfast.yaml":
        "tools:\n  tell: { kind: notify }\npolicy: [{ id: one, effect: forbid }]\npolicyTests: [{ action: { tool: tell }, expect: forbid }]\n",
      "conf.d/more.yaml": "policy: [{ id: two, effect: forbid }]\n",
      "new.yaml": "policy:\n  - { id: new, effect: permit }\n",
      "bad.yaml": "policy:\n  - { id: new, effect: permit, tools: [tel] }\n",
      "more.yaml": "policy: []\ntools: {}\n",
    });
    const candidate = (name: string) => loadConfig({ file, environment, policyFile: join(dirname(file), name) });
    const { policy, policyTests } = loaded(candidate("new.yaml")).config.generation;
    expect(policy.map((rule) => rule.id)).toEqual(["new"]);
    expect(policyTests).toHaveLength(1);
    expect(problemsOf(candidate("bad.yaml"))).toMatchObject([
      { file: join(dirname(file), "bad.yaml"), line: 2, column: 40, message: 'there is no tool "tel"' },
    ]);
    expect(problemsOf(candidate("more.yaml"))).toMatchObject([
      { file: join(dirname(file), "more.yaml"), line: 2, column: 1, message: 'a file of policy has no "tools"' },
    ]);
    expect(problemsOf(candidate("none.yaml"))).toMatchObject([{ message: "the file does not exist" }]);
  });

  it("tells a mistake in the file that has it", () => {
    const file = written({
      "holdfast.yaml": "store: { maxBytes: 10000000 }\n",
      "conf.d/a.yaml": "store:\n  maxBytes: 1\n",
    });
    expect(problemsOf(loadConfig({ file, environment }))).toMatchObject([
      { file: join(dirname(file), "conf.d/a.yaml"), line: 2, column: 13 },
    ]);
  });
});

describe("a file that can not be read", () => {
  it("is a mistake and not an exception", () => {
    const folder = temporaryFolder();
    const missing = join(folder, "none.yaml");
    expect(problemsOf(loadConfig({ file: missing, environment }))).toEqual([
      { file: missing, line: 1, column: 1, path: "", message: "the file does not exist" },
    ]);
    expect(problemsOf(loadConfig({ file: folder, environment }))[0]?.message).toBe(
      "this is a folder, expected a YAML file",
    );
    symlinkSync("loop.yaml", join(folder, "loop.yaml"));
    expect(problemsOf(loadConfig({ file: join(folder, "loop.yaml"), environment }))[0]?.message).toContain("ELOOP");
  });

  it("may not be larger than 4 MB", () => {
    const [problem] = problemsOf(loadText(Buffer.alloc(4_194_305, "#")));
    expect(problem?.message).toBe("the file has 4194305 bytes; at most 4194304 are read");
  });

  it("is told also when the folder conf.d is the one that can't be read", () => {
    const file = written({ "holdfast.yaml": agentText });
    mkdirSync(join(dirname(file), "conf.d"));
    chmodSync(join(dirname(file), "conf.d"), 0o000);
    // root may read everything
    expect(loadConfig({ file, environment }).ok).toBe(process.getuid?.() === 0);
  });

  it("holds against nesting that would end the process", () => {
    for (const text of ["[".repeat(50_000), "- ".repeat(20_000), "{a: ".repeat(20_000), "? ".repeat(20_000)]) {
      expect(problemsOf(loadText(text))[0]?.message).toBe("maps and lists lie in each other more than 64 levels deep");
    }
  });

  it("says enough and stops when a file is of another kind altogether", () => {
    expect(problemsOf(loadText("a: }\n".repeat(800_000)))).toHaveLength(20);
    const keys = Array.from({ length: 5000 }, (_, index) => `key${index}: 1\n`).join("");
    expect(problemsOf(loadText(keys))).toHaveLength(500);
  });
});
