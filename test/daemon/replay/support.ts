import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadRelease } from "../../../config/load.ts";
import { generationDigest } from "../../../config/release.ts";
import { type AgentPlan, planAgent } from "../../../daemon/agent-plan.ts";
import { decisionWriter } from "../../../daemon/body.ts";
import { type CompiledAgent, checkAgent } from "../../../daemon/check.ts";
import { program } from "../../../daemon/commands/program.ts";
import { exitStatus } from "../../../daemon/errors.ts";
import { createIds } from "../../../daemon/ids.ts";
import { compilePolicy } from "../../../daemon/policy.ts";
import { contextOf, judge } from "../../../daemon/replay/judging.ts";
import type { Report } from "../../../daemon/replay/report.ts";
import { ofRules, withoutAnswer } from "../../../daemon/replay/rule-actions.ts";
import { BoundRules } from "../../../daemon/rules.ts";
import type { Store } from "../../../daemon/store/store.ts";
import { featureUnit } from "../../../models/features.ts";
import type { Answer, InputRow } from "../../../models/inference.ts";
import { type Manifest, parseManifest } from "../../../models/manifest.ts";
import { readDecision } from "../../../sync/records.ts";
import { openTestStore, temporaryDirectory } from "../store/support.ts";

/** One pass of an agent, as its readings would have made it. */
export interface MadePass {
  readonly key: string;
  /** Milliseconds after the log's beginning. */
  readonly atMs: number;
  readonly inputs: InputRow;
  readonly fields?: InputRow;
  readonly answer?: Answer;
  readonly source?: "fallback";
}

export interface MadeLog {
  readonly yaml: string;
  readonly agent: string;
  readonly manifest?: string;
  readonly passes: readonly MadePass[];
  /** Actions were proposed, not only observed. */
  readonly acts?: boolean;
  /** Which quiet passes are written down. */
  readonly keeps?: (index: number, isChanged: boolean) => boolean;
  readonly probability?: number;
}

const device = { name: "gateway", labels: {} };
const newId = createIds();
export const BEGAN = Math.floor(Date.now() / 60_000) * 60_000 - 2 * 3_600_000;

/** A data directory with a log as the daemon would have written it: real rules, real lines, a real store. */
export async function writeLog(made: MadeLog): Promise<string> {
  const directory = temporaryDirectory();
  const { store } = await openTestStore(directory);
  await appendLog(store, made);
  await store.stop();
  return directory;
}

export async function appendLog(store: Store, made: MadeLog): Promise<void> {
  const { manifest, plan, compiled, release } = compiledOf(made);
  const generation = await keepGeneration(store, made, manifest);
  const law = {
    policy: compilePolicy(release.policy, { device, tools: release.tools, problemAt, problems: [] }),
    tools: release.tools,
  };
  write(store, made, { generation, manifest, plan, compiled, law });
  await store.flush();
}

/** When rules fire if they run themselves: `rule@milliseconds key`. */
export function firings(made: MadeLog): string[] {
  const { compiled } = compiledOf(made);
  return [...verdicts(compiled, made.passes)].flatMap(({ pass, verdict }) =>
    verdict.rules.filter((rule) => rule.fired).map((rule) => `${rule.id}@${pass.atMs} ${pass.key}`),
  );
}

function* verdicts(compiled: CompiledAgent, passes: readonly MadePass[]) {
  const clock = {
    atMs: 0,
    bootId: "boot",
    wallMs: () => BEGAN + Math.floor(clock.atMs),
    bootMs: () => clock.atMs + 1000,
  };
  const rules = new BoundRules(compiled, { clock: { ...clock, trust: () => "synced" }, states: { keep: () => {} } });
  for (const [index, pass] of passes.entries()) {
    clock.atMs = pass.atMs;
    const nowMs = clock.wallMs();
    const seen = {
      key: pass.key,
      eventId: undefined,
      eventTimeMs: nowMs,
      fields: pass.fields ?? pass.inputs,
      row: pass.inputs,
      coverage: 1,
      windowCount: 10,
    };
    const verdict =
      pass.source === "fallback"
        ? { rules: [], fired: false, stateBefore: "", changed: false }
        : rules.evaluate(seen as unknown as Parameters<BoundRules["evaluate"]>[0], pass.answer ?? {}, nowMs);
    yield { index, pass, verdict, nowMs, bootMs: clock.bootMs() };
  }
}

function compiledOf(made: MadeLog) {
  const manifest = made.manifest === undefined ? undefined : manifestOf(made.manifest);
  const release = loadRelease([{ path: "holdfast.yaml", source: made.yaml }]);
  const config = release?.agents[made.agent];
  if (release === undefined || config === undefined) throw new Error("the test's own configuration does not load");
  const plan = planAgent(made.agent, config, (call, unit) => featureUnit(call.fn, unit));
  const problems: never[] = [];
  const compiled = checkAgent(plan, manifest, device, problemAt, problems);
  if (compiled === undefined) throw new Error(JSON.stringify(problems));
  return { manifest, release, plan, compiled };
}

function problemAt(path: readonly PropertyKey[], message: string) {
  return { file: "", line: 1, column: 1, path: path.map(String).join("."), message };
}

interface Parts {
  readonly generation: string;
  readonly manifest: Manifest | undefined;
  readonly plan: AgentPlan;
  readonly compiled: CompiledAgent;
  readonly law: Parameters<typeof judge>[2];
}

function write(store: Store, made: MadeLog, parts: Parts): void {
  const { plan, compiled, manifest, generation } = parts;
  const reads = compiled.rules.flatMap((rule) => [...rule.when.reads, ...(rule.clearWhen?.reads ?? [])]);
  const readsFields = plan.features !== undefined && reads.some((name) => name.startsWith("event.fields"));
  const line = decisionWriter({
    agent: made.agent,
    generation: generation.slice(0, 16),
    arm: "incumbent",
    model: manifest && { name: manifest.name, version: manifest.version, digest: manifest.digest.slice(7, 23) },
    inputNames: plan.inputs.map((input) => input.name),
    fieldNames: readsFields ? plan.fields.map((field) => field.name) : undefined,
    outputNames: manifest?.outputs.map((output) => output.name) ?? [],
    windowed: plan.config.window !== undefined,
    privateNames: [],
  });
  const number = store.agentNumber(made.agent);
  for (const { index, pass, verdict, nowMs, bootMs } of verdicts(compiled, made.passes)) {
    const isFallback = pass.source === "fallback";
    store.count(made.agent, "decided", 1, nowMs);
    const isNews = verdict.fired || isFallback;
    if (!isNews && made.keeps?.(index, verdict.changed) === false) continue;
    const id = newId(nowMs);
    const body = line({
      id,
      key: pass.key,
      eventId: undefined,
      eventTimeMs: nowMs,
      receivedMs: nowMs,
      decidedMs: nowMs,
      bootMs: Math.round(bootMs),
      trust: "synced",
      inputs: pass.inputs,
      fields: pass.fields,
      coverage: 1,
      windowCount: 10,
      state: verdict.stateBefore,
      answer: isFallback ? undefined : pass.answer,
      rules: verdict.rules,
      source: isFallback ? "fallback" : manifest === undefined ? "none" : "answer",
      reason: isFallback ? "deadline" : undefined,
      probability: isNews ? 1 : (made.probability ?? 1),
      trace: undefined,
      batch: 1,
      queueUs: 10,
      inferUs: 100,
      decideUs: 10,
    });
    store.append({ stream: isNews ? 1 : 2, kind: "decision", agent: number, id, wallMs: nowMs, body });
    if (made.acts === true) act(store, body, number, parts);
  }
}

/** What the proposer writes for the rules that fired. */
function act(store: Store, body: string, number: number, { plan, law, compiled }: Parts): void {
  const decision = readDecision(body);
  const none = { sinceLastFiredSeconds: 1e9, firing: false, passes: 0 };
  const fired = new Map(decision.rules.filter((rule) => rule.fired).map((rule) => [rule.id, none]));
  const row = (names: readonly { name: string }[]) => names.map(({ name }) => decision.inputs[name]) as InputRow;
  const pass = { key: decision.key, eventId: undefined, eventTimeMs: decision.eventTime, coverage: 1, windowCount: 10 };
  const seen = { ...pass, fields: row(plan.fields), row: row(plan.inputs) };
  const proposed =
    decision.source === "fallback"
      ? withoutAnswer(compiled, "fallback", seen, decision.decidedAt)
      : ofRules(compiled, fired, seen, decision.answer as Answer | undefined, decision.decidedAt);
  const question = {
    proposer: { agent: decision.agent, by: "" },
    context: contextOf(decision, plan.features !== undefined),
    nowMs: decision.decidedAt,
    hidesReasons: false,
  };
  for (const [index, action] of proposed.entries()) {
    const { effect, rules } = judge(action, question, law);
    const id = newId(decision.decidedAt);
    const isRefused = effect === "forbid" || effect === "deny";
    const kind = isRefused || effect === "requireApproval" ? "proposal" : "intent";
    const state = isRefused ? "denied" : "awaitingApproval";
    const record = {
      v: 1,
      kind,
      id,
      decision: decision.id,
      agent: decision.agent,
      key: decision.key,
      rule: action.rule,
      tool: action.tool,
      target: "",
      arguments: action.arguments,
      ...(action.private.length === 0 ? {} : { private: action.private }),
      class: law.tools[action.tool]?.class,
      verdict: { effect, rules },
      policy: "0123456789abcdef",
      executeBefore: { bootMs: 0, boot: "b", wallMs: decision.decidedAt + 30_000 },
      idempotencyKey: `${decision.id}/${action.rule}/${index}`,
      ...(kind === "proposal" ? { state } : {}),
    };
    store.append({ stream: 1, kind, agent: number, id, wallMs: decision.decidedAt, body: JSON.stringify(record) });
  }
}

async function keepGeneration(store: Store, made: MadeLog, manifest: Manifest | undefined): Promise<string> {
  const texts = [
    { path: "holdfast.yaml", source: made.yaml },
    ...(manifest === undefined
      ? []
      : [{ path: `models/${manifest.name}/${manifest.version}/manifest.json`, source: made.manifest as string }]),
  ];
  const files = texts.map((one) => ({ ...one, sha256: createHash("sha256").update(one.source).digest("hex") }));
  const id = generationDigest(files);
  await store.control.saveGeneration({ id, origin: "local", createdAt: BEGAN, files });
  const name = `device:${store.epoch().ordinal}`;
  await store.control.change({ kind: "meta", name, value: JSON.stringify(device) });
  return id;
}

function manifestOf(text: string): Manifest {
  const parsed = parseManifest(JSON.parse(text));
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return parsed.manifest;
}

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  /** Of --json. */
  readonly report: Report;
  readonly error: unknown;
}

/** Runs the verb as the command line does. */
export async function runReplay(directory: string, ...args: string[]): Promise<Ran> {
  let out = "";
  let err = "";
  const io = {
    environment: {},
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    terminal: false,
    columns: 100,
    stop: new AbortController().signal,
  };
  try {
    const status = await program(["replay", "--data", directory, ...args], io);
    return { status, out, err, report: (out.startsWith("{") ? JSON.parse(out) : {}) as Report, error: undefined };
  } catch (error) {
    return { status: exitStatus(error), out, err, report: {} as Report, error };
  }
}

/** Writes a candidate's file beside the log. */
export function fileIn(directory: string, name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}
