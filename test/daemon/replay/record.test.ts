import { expect, test } from "vitest";
import { LogReader } from "../../../daemon/log-reader.ts";
import { decision, openTestStore, temporaryDirectory } from "../store/support.ts";
import { appendLog, BEGAN, fileIn, type MadePass, runReplay, writeLog } from "./support.ts";

const yaml = `
agents:
  tank:
    sources:
      - { kind: mqtt, topic: "tank/{id}", key: id, fields: { level: { min: 0, max: 100 }, owner: { type: string, private: true } } }
    record: { quiet: all }
    fallback: { do: [{ tool: tell, arguments: { text: "'no answer for ' + event.key" } }] }
    rules:
      - id: high
        when: event.fields.level > 7.0
        do: [{ tool: drain, arguments: { id: event.key, who: event.fields.owner } }]
tools:
  drain: { kind: mqtt, topic: "tank/{id}/drain", class: reversible }
  tell: { kind: notify }
policy: [{ id: open, effect: permit }]
`;
const CANARY = "canary-7f3a";
const made = (levels: readonly number[], more: Partial<MadePass> = {}): MadePass[] =>
  levels.map((level, at) => ({ key: "t1", atMs: at * 1000, inputs: [level, CANARY], ...more }));

test("values of private fields are printed nowhere", async () => {
  const directory = await writeLog({ yaml, agent: "tank", passes: made([5, 8, 5]), acts: true });
  const never = `policy: [{ id: never, effect: forbid, when: "int(event.fields.owner) > 3" }]\n`;
  const file = fileIn(directory, "p.yaml", never);
  const agents = fileIn(directory, "a.yaml", yaml.replace("> 7.0", "> 4.0"));
  for (const form of [["--json"], []]) {
    const { out, err } = await runReplay(directory, "--policy", file, "--agents", agents, ...form);
    expect(out).toContain("(private)");
    expect(out).toContain("never");
    expect(out + err).not.toContain(CANARY);
  }
});

test("a fallback is an action of its own", async () => {
  const passes = [...made([5]), { key: "t1", atMs: 2000, inputs: [5, "x"], source: "fallback" } as const];
  const directory = await writeLog({ yaml, agent: "tank", passes, acts: true });
  const file = fileIn(directory, "a.yaml", yaml.replace("no answer for ", "nothing from "));
  const { report } = await runReplay(directory, "--agents", file, "--json");
  expect(report.actions.byTool["tell"]).toMatchObject({ recorded: 1, candidate: 1, more: 1, fewer: 1 });
  const silent = fileIn(directory, "b.yaml", "policy: [{ id: still, effect: forbid, tools: [tell] }]\n");
  const judged = (await runReplay(directory, "--policy", silent, "--json")).report;
  expect(judged.actions).toMatchObject({ recorded: 1, denied: 1 });
});

test("quiet passes that were not written down are told, by their probability or by the agent's own count", async () => {
  const passes = made(Array.from({ length: 100 }, (_, at) => (at === 50 ? 9 : 5)));
  const some = { yaml, agent: "tank", passes, keeps: (index: number) => index % 10 === 0, probability: 0.1 };
  const sampled = await writeLog(some);
  const file = fileIn(sampled, "a.yaml", yaml.replace("> 7.0", "> 4.0"));
  const { report, out } = await runReplay(sampled, "--agents", file, "--json");
  // Nine quiet ones at 1/10 and the one that fired.
  expect(report).toMatchObject({ decisions: 10, estimatedPasses: 91 });
  expect(report.agents[0]?.rules[0]?.estimatedMore).toBe(10);
  expect(out).not.toBe("");
  expect((await runReplay(sampled, "--agents", file)).out).toContain("of its passes were written down");
  const changes = yaml.replace("quiet: all", "quiet: changes");
  const terse = await writeLog({ ...some, yaml: changes, keeps: (_, isChanged) => isChanged, probability: 1 });
  const counted = (await runReplay(terse, "--agents", fileIn(terse, "a.yaml", changes), "--json")).report;
  expect(counted).toMatchObject({ decisions: 2, estimatedPasses: 100, changed: 0 });
});

test("actions are found whatever page of the log they are on", async () => {
  const passes = made(Array.from({ length: 1500 }, (_, at) => (at % 2 === 0 ? 5 : 8)));
  const directory = await writeLog({ yaml, agent: "tank", passes, acts: true });
  const file = fileIn(directory, "p.yaml", "policy: [{ id: never, effect: forbid }]\n");
  const { report } = await runReplay(directory, "--policy", file, "--json");
  expect(report).toMatchObject({ decisions: 1500, otherActions: 0 });
  expect(report.actions).toMatchObject({ recorded: 750, denied: 750, notProposed: 0, unknown: 0 });
});

test("what a person proposed is asked about too", async () => {
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory);
  await appendLog(store, { yaml, agent: "tank", passes: made([5]) });
  const person = {
    key: "",
    rule: "",
    by: "maria",
    tool: "drain",
    target: "",
    arguments: { id: "t1" },
    class: "reversible",
    verdict: { effect: "permit", rules: ["open"] },
  };
  const { id, body } = decision("", BEGAN + 5000, { kind: "intent", ...person });
  store.append({ stream: 1, kind: "intent", agent: 0, id, wallMs: BEGAN + 5000, body });
  await store.stop();
  const file = fileIn(directory, "p.yaml", `policy: [{ id: not-her, effect: forbid, when: "action.by == 'maria'" }]\n`);
  const { report } = await runReplay(directory, "--policy", file, "--json");
  expect(report.actions.examples).toMatchObject([{ what: "denied", decision: id, after: { rules: ["not-her"] } }]);
});

test("of an action whose policy saw what the log does not have, nothing is said", async () => {
  const directory = temporaryDirectory();
  const windowed = yaml
    .replace("record:", "window: { seconds: 5 }\n    features: { top: max(level) }\n    record:")
    .replace("event.fields.level", "features.top")
    .replace(", who: event.fields.owner", "")
    .replace("effect: permit }", 'effect: permit, when: "event.fields.level > 1.0" }');
  const { store } = await openTestStore(directory);
  await appendLog(store, { yaml: windowed, agent: "tank", passes: [{ key: "t1", atMs: 0, inputs: [8] }] });
  const log = new LogReader(directory);
  const [placed] = await log.newest({}, 1);
  log.close();
  const told = { decision: placed?.decision.id, key: "t1", rule: "high", tool: "drain", arguments: { id: "t1" } };
  const verdict = { effect: "permit", rules: ["open"] };
  const { id, body } = decision("tank", BEGAN, { kind: "intent", ...told, class: "reversible", verdict });
  store.append({ stream: 1, kind: "intent", agent: store.agentNumber("tank"), id, wallMs: BEGAN, body });
  await store.stop();
  const file = fileIn(directory, "p.yaml", "policy: [{ id: never, effect: forbid }]\n");
  const { report, out } = await runReplay(directory, "--policy", file, "--json");
  expect(report.actions).toMatchObject({ recorded: 1, unknown: 1, denied: 0 });
  expect(report.changed).toBe(0);
  expect(out).not.toContain('"forbid":1');
});

test("rules go on over a restart of the daemon and of the machine", async () => {
  const slow = yaml.replace("level > 7.0", "level > 7.0\n        forSeconds: 3");
  const directory = await writeLog({ yaml: slow, agent: "tank", passes: made([8, 8, 8, 8, 5]) });
  const { store } = await openTestStore(directory);
  await appendLog(store, { yaml: slow, agent: "tank", passes: made([8, 8, 8, 8, 5]) });
  await store.stop();
  const same = await runReplay(directory, "--agents", fileIn(directory, "a.yaml", slow), "--json");
  expect(same.report).toMatchObject({ decisions: 10, changed: 0 });
  expect(same.report.agents[0]?.rules[0]).toMatchObject({ recorded: 2, candidate: 2 });
});
