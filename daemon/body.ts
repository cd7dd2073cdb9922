import type { Answer, InputRow } from "../models/inference.ts";

/** What a rule said in one pass. */
export interface RuleLine {
  readonly id: string;
  readonly fired: boolean;
  readonly why: string;
}

/** Everything that one decision's line says and that differs from pass to pass. */
export interface DecisionLine {
  readonly id: string;
  readonly key: string;
  readonly eventId: string | undefined;
  readonly eventTimeMs: number;
  readonly receivedMs: number;
  readonly decidedMs: number;
  readonly bootMs: number;
  readonly trust: string;
  readonly inputs: InputRow;
  readonly fields: InputRow | undefined;
  /** What was answered to its questions, as JSON. */
  readonly queries?: string | undefined;
  readonly coverage: number;
  readonly windowCount: number;
  readonly state: string;
  readonly answer: Answer | undefined;
  readonly rules: readonly RuleLine[];
  readonly source: string;
  readonly reason: string | undefined;
  readonly probability: number;
  readonly trace: string | undefined;
  readonly batch: number;
  readonly queueUs: number;
  readonly inferUs: number;
  readonly decideUs: number;
}

/** What is the same in all decisions of an agent, written out once. */
export interface DecisionForm {
  readonly agent: string;
  readonly generation: string;
  readonly arm: string;
  readonly model: { readonly name: string; readonly version: number; readonly digest: string } | undefined;
  readonly inputNames: readonly string[];
  readonly fieldNames: readonly string[] | undefined;
  readonly outputNames: readonly string[];
  readonly windowed: boolean;
  /** Inputs and fields that are never shown outside. */
  readonly privateNames: readonly string[];
}

/**
 * The line of a decision as the log stores it. Put together by hand from parts that were quoted once, since this runs
 * for every event; the schema in sync/records.ts is held to it by a test.
 */
export function decisionWriter(form: DecisionForm): (line: DecisionLine) => string {
  const head = `,"agent":${JSON.stringify(form.agent)},"key":`;
  const model = form.model === undefined ? "" : `,"model":${JSON.stringify(form.model)}`;
  const arm = form.arm === "incumbent" ? "" : `,"arm":${JSON.stringify(form.arm)}`;
  const origin = `,"generation":${JSON.stringify(form.generation)}${arm}${model},"inputs":{`;
  const inputNames = quotedNames(form.inputNames);
  const fieldNames = form.fieldNames === undefined ? undefined : quotedNames(form.fieldNames);
  const outputNames = quotedNames(form.outputNames);
  const privateText = form.privateNames.length === 0 ? "" : `,"private":${JSON.stringify(form.privateNames)}`;
  const rulesText = ruleWriter();
  const keyText = cachedQuote();
  return (line) => {
    let text = `{"v":1,"kind":"decision","id":"${line.id}"${head}${keyText(line.key)}`;
    if (line.eventId !== undefined) text += `,"eventId":${JSON.stringify(line.eventId)}`;
    text += `,"eventTime":${line.eventTimeMs},"receivedAt":${line.receivedMs},"decidedAt":${line.decidedMs}${origin}`;
    text += `${rowText(inputNames, line.inputs)}}`;
    if (fieldNames !== undefined && line.fields !== undefined)
      text += `,"fields":{${rowText(fieldNames, line.fields)}}`;
    if (line.queries !== undefined) text += `,"queries":${line.queries}`;
    text += privateText;
    if (form.windowed) text += `,"window":{"coverage":${line.coverage},"count":${line.windowCount}}`;
    if (line.state !== "") text += `,"state":${line.state}`;
    if (line.answer !== undefined) text += `,"answer":{${answerText(outputNames, form.outputNames, line.answer)}}`;
    text += `,"rules":[${rulesText(line.rules)}]`;
    if (line.source !== "answer") text += `,"source":"${line.source}"`;
    if (line.reason !== undefined) text += `,"reason":${JSON.stringify(line.reason)}`;
    if (line.probability !== 1) text += `,"samplingProbability":${line.probability}`;
    if (line.trace !== undefined) text += `,"trace":${JSON.stringify(line.trace)}`;
    if (line.batch > 1) text += `,"batch":${line.batch}`;
    text += `,"latencyUs":[${line.queueUs},${line.inferUs},${line.decideUs}]`;
    return `${text},"bootMs":${line.bootMs},"clock":"${line.trust}"}`;
  };
}

function quotedNames(names: readonly string[]): readonly string[] {
  return names.map((name, at) => `${at === 0 ? "" : ","}${JSON.stringify(name)}:`);
}

function rowText(names: readonly string[], row: InputRow): string {
  let text = "";
  for (let at = 0; at < names.length; at++) {
    const value = row[at];
    text += (names[at] as string) + valueText(value);
  }
  return text;
}

/** JSON has no NaN: what is not finite or not there is null, and then no model was asked. */
function valueText(value: unknown): string {
  if (typeof value === "number") return Number.isFinite(value) ? `${value}` : "null";
  if (value === undefined) return "null";
  return JSON.stringify(value);
}

function answerText(quoted: readonly string[], names: readonly string[], answer: Answer): string {
  let text = "";
  for (let at = 0; at < names.length; at++) text += (quoted[at] as string) + valueText(answer[names[at] as string]);
  return text;
}

/** Most outcomes are one of a few shared objects ("condition false"), whose text is made once. */
function ruleWriter(): (rules: readonly RuleLine[]) => string {
  const known = new WeakMap<RuleLine, string>();
  const one = (rule: RuleLine): string => {
    const text = known.get(rule);
    if (text !== undefined) return text;
    const made = `{"id":${JSON.stringify(rule.id)}${rule.fired ? ',"fired":true' : ""},"why":${JSON.stringify(rule.why)}}`;
    known.set(rule, made);
    return made;
  };
  return (rules) => {
    if (rules.length === 1) return one(rules[0] as RuleLine);
    let text = "";
    for (let at = 0; at < rules.length; at++) text += (at === 0 ? "" : ",") + one(rules[at] as RuleLine);
    return text;
  };
}

const REMEMBERED_QUOTES = 1024;

/** Keys come again and again; quoting is remembered for some of them. */
function cachedQuote(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const quoted = known.get(text);
    if (quoted !== undefined) return quoted;
    if (known.size >= REMEMBERED_QUOTES) known.clear();
    const made = JSON.stringify(text);
    known.set(text, made);
    return made;
  };
}
