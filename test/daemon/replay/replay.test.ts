import { expect, test } from "vitest";
import { fileIn, type MadePass, runReplay, writeLog } from "./support.ts";

const agent = (rules: string, more = ""): string => `
agents:
  tank:
    sources: [{ kind: mqtt, topic: "tank/{id}", key: id, fields: { level: { min: 0, max: 100 } } }]
    record: { quiet: all }
    ${more}
    rules: ${rules}
tools:
  drain: { kind: mqtt, topic: "tank/{id}/drain", class: reversible }
  tell: { kind: notify }
`;
const high = (when: string): string =>
  agent(`[{ id: high, when: "${when}", do: [{ tool: drain, arguments: { id: event.key } }] }]`);
const recorded = `${high("event.fields.level > 7.0")}policy: [{ id: open, effect: permit }]\n`;

const levels = [5, 6.5, 7.5, 8, 6, 6.2, 9, 5];
const passes: MadePass[] = levels.map((level, at) => ({ key: "t1", atMs: at * 1000, inputs: [level] }));
const log = { yaml: recorded, agent: "tank", passes, acts: true };

test("a changed threshold makes exactly the differences that one counts by hand", async () => {
  const directory = await writeLog(log);
  const lower = fileIn(directory, "lower.yaml", high("event.fields.level > 6.0"));
  const { status, report } = await runReplay(directory, "--agents", lower, "--json");
  expect(status).toBe(0);
  expect(report).toMatchObject({ decisions: 8, changed: 4, estimatedPasses: 8, passed: true });
  expect(report.agents[0]?.rules[0]).toMatchObject({
    id: "high",
    change: "changed",
    recorded: 2,
    candidate: 2,
    more: 2,
    fewer: 2,
    moved: 2,
  });
  expect(report.actions).toMatchObject({ recorded: 2, candidate: 2, more: 2, fewer: 2, notProposed: 0 });
  expect(report.actions.examples.map((one) => [one.what, one.tool, one.arguments])).toEqual([
    ["more", "drain", { id: "t1" }],
    ["fewer", "drain", { id: "t1" }],
    ["more", "drain", { id: "t1" }],
    ["fewer", "drain", { id: "t1" }],
  ]);
  const higher = fileIn(directory, "higher.yaml", high("event.fields.level > 8.5"));
  const second = (await runReplay(directory, "--agents", higher, "--json")).report;
  expect(second.changed).toBe(1);
  expect(second.agents[0]?.rules[0]).toMatchObject({ recorded: 2, candidate: 1, more: 0, fewer: 1, moved: 0 });
});

test("new rules, removed rules and a switched-off agent are told", async () => {
  const directory = await writeLog(log);
  const other = fileIn(directory, "other.yaml", agent(`[{ id: low, when: "event.fields.level < 5.5" }]`));
  const { report } = await runReplay(directory, "--agents", other, "--json");
  expect(report.agents[0]?.rules).toMatchObject([
    { id: "low", change: "new", recorded: 0, candidate: 2, more: 2, fewer: 0 },
    { id: "high", change: "removed", recorded: 2, candidate: 0, more: 0, fewer: 2 },
  ]);
  expect(report.actions).toMatchObject({ recorded: 2, candidate: 0, fewer: 2 });
  const off = fileIn(
    directory,
    "off.yaml",
    high("event.fields.level > 7.0").replace("record:", "enabled: false\n    record:"),
  );
  expect((await runReplay(directory, "--agents", off, "--json")).report.actions).toMatchObject({
    recorded: 2,
    fewer: 2,
  });
});

test("the configuration that ran makes no difference", async () => {
  const directory = await writeLog(log);
  const same = fileIn(directory, "same.yaml", recorded);
  const { status, report, out } = await runReplay(
    directory,
    "--agents",
    same,
    "--policy",
    same,
    "--max-difference",
    "0",
    "--json",
  );
  expect(out).not.toBe("");
  expect(status).toBe(0);
  expect(report).toMatchObject({ decisions: 8, changed: 0, actions: { recorded: 2, candidate: 2, more: 0, fewer: 0 } });
  expect(report.policy?.table.permit).toMatchObject({ permit: 2, forbid: 0 });
});

test("a policy that forbids is told by what was permitted, with examples and the rule that does", async () => {
  const directory = await writeLog(log);
  const strict = fileIn(
    directory,
    "strict.yaml",
    `policy:
  - { id: open, effect: permit }
  - { id: not-so-full, effect: forbid, tools: [drain], when: "event.fields.level > 8.5" }
`,
  );
  const { report, status } = await runReplay(directory, "--policy", strict, "--json");
  expect(status).toBe(0);
  expect(report.policy?.table.permit).toMatchObject({ permit: 1, forbid: 1 });
  expect(report.actions).toMatchObject({ recorded: 2, candidate: 2, denied: 1, permitted: 0 });
  expect(report.actions.byTool["drain"]).toMatchObject({ denied: 1 });
  expect(report.actions.examples).toMatchObject([
    { what: "denied", before: { effect: "permit" }, after: { effect: "forbid", rules: ["open", "not-so-full"] } },
  ]);
  expect(report.changed).toBe(1);
});

test("a policy is tried before anything acts, on what rules would have proposed", async () => {
  const directory = await writeLog({ ...log, yaml: high("event.fields.level > 7.0"), acts: false });
  const first = fileIn(directory, "first.yaml", "policy: [{ id: ask, effect: requireApproval, tools: [drain] }]\n");
  const { report } = await runReplay(directory, "--policy", first, "--json");
  expect(report.actions).toMatchObject({ recorded: 2, notProposed: 2, asks: 2 });
  expect(report.policy?.table.deny).toMatchObject({ requireApproval: 2 });
});

test("limits make it a gate", async () => {
  const directory = await writeLog(log);
  const lower = fileIn(directory, "lower.yaml", high("event.fields.level > 6.0"));
  const gate = async (...limits: string[]) => (await runReplay(directory, "--agents", lower, ...limits)).status;
  expect(await gate("--max-difference", "50%")).toBe(0);
  expect(await gate("--max-difference", "49%")).toBe(1);
  expect(await gate("--max-difference", "4", "--max-more", "2", "--max-fewer", "2", "--max-denied", "0")).toBe(0);
  expect(await gate("--max-more", "1")).toBe(1);
  expect(await gate("--max-fewer", "99%")).toBe(1);
  const { out } = await runReplay(directory, "--agents", lower, "--max-difference", "1%");
  expect(out).toContain("exceeded: at most 1% decisions that come out otherwise: 4 of 8 decisions (50 %)");
  expect(await gate("--max-difference", "many")).toBe(2);
});

test("what only readings could tell is refused and not guessed", async () => {
  const directory = await writeLog(log);
  const cases: [string, string][] = [
    [recorded.replace("tank/{id}", "vat/{id}"), "its sources changed"],
    [recorded.replace("record:", "open: { everySeconds: 5 }\n    record:"), "its open changed"],
    [
      recorded
        .replace("record:", "window: { seconds: 60 }\n    features: { top: max(level) }\n    record:")
        .replace("event.fields.level", "features.top"),
      "its window changed",
    ],
  ];
  for (const [text, reason] of cases) {
    const { status, report } = await runReplay(directory, "--agents", fileIn(directory, "c.yaml", text), "--json");
    expect(status).toBe(1);
    expect(report.passed).toBe(false);
    expect(report.agents[0]?.refused.join()).toContain(`replay can not tell for agent tank: ${reason}`);
  }
});

test("a candidate with mistakes is refused with their places", async () => {
  const directory = await writeLog(log);
  const cases: [string, string, string][] = [
    ["--agents", high("event.fields.levle > 7.0"), "Did you mean"],
    ["--agents", high("event.fields.level > 7.0").replace("drain, arg", "drian, arg"), "no tool"],
    ["--policy", "policy: [{ id: a, effect: forbidd }]\n", "effect"],
    ["--policy", 'policy: [{ id: a, effect: forbid, when: "event.kee == 1" }]\n', "kee"],
    ["--policy", "polcy: []\n", "polcy"],
    ["--policy", "agents: {}\n", "no policy"],
    ["--policy", "policy: []\npolicyTests: [{ action: { tool: drain }, expect: permit }]\n", "expected permit"],
    ["--model", "", "MODEL"],
  ];
  for (const [option, text, words] of cases) {
    const file = option === "--model" ? directory : fileIn(directory, "bad.yaml", text);
    const { status, error } = await runReplay(directory, option, file);
    expect([words, status]).toEqual([words, 78]);
    if (option !== "--model") expect(JSON.stringify((error as { problems: unknown }).problems)).toContain(words);
  }
});

test("no candidate, and nothing recorded, are no success", async () => {
  const directory = await writeLog(log);
  expect(await runReplay(directory)).toMatchObject({ status: 1, error: { code: "INPUT_FILE" } });
  const file = fileIn(directory, "p.yaml", "policy: []\n");
  const later = ["--since", "2100-01-01", "--policy", file];
  expect(await runReplay(directory, ...later)).toMatchObject({ status: 1, error: { code: "NOTHING_TO_REPLAY" } });
});

test("an agent that the record does not know is said to be unknown", async () => {
  const directory = await writeLog(log);
  const both = recorded.replace(
    "agents:\n",
    `agents:\n  vat: { sources: [{ kind: vitals }], rules: [{ id: r, when: "true" }] }\n`,
  );
  const { report } = await runReplay(directory, "--agents", fileIn(directory, "both.yaml", both), "--json");
  expect(report.agents.map((one) => [one.agent, one.decisions, one.notes.length])).toEqual([
    ["tank", 8, 0],
    ["vat", 0, 1],
  ]);
  const other = both.replace("  tank:", "  tank-2:").replace("[{ id: open, effect: permit }]", "[]");
  const alone = await runReplay(directory, "--agents", fileIn(directory, "other.yaml", other), "--json");
  expect(alone).toMatchObject({ status: 1, error: { code: "NOTHING_TO_REPLAY" } });
});

test("what a person reads says what came out otherwise, and how to look at it", async () => {
  const directory = await writeLog(log);
  const lower = fileIn(directory, "lower.yaml", high("event.fields.level > 6.0"));
  const { out } = await runReplay(
    directory,
    "--agents",
    lower,
    "--policy",
    fileIn(directory, "p.yaml", "policy: []\n"),
  );
  expect(out).toMatch(/^8 decisions from .*: 4 come out otherwise \(50 %\)\n/);
  expect(out).toMatch(/high {2}changed +2 +2 +2 +2 {2}2 of them only earlier or later/);
  expect(out).toMatch(/drain +2 +2 +2 +2 /);
  expect(out).toMatch(/more +drain\(id: "t1"\) +tank\/high +none → deny +\S+ \S+ +[0-9a-f-]{36}/);
});
