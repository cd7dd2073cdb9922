import { type Decision, streamNames } from "../../sync/records.ts";
import { redact } from "../../sync/redact.ts";
import type { ActionLine } from "../act/action-line.ts";
import type { PlacedDecision } from "../log-reader.ts";
import { age, figure, iso, type Paint, safe } from "./format.ts";

/** One line of `holdfast decisions --json`: times in ISO 8601, the place in the log, latencies in milliseconds. */
export function decisionJson(placed: PlacedDecision, actions: readonly ActionLine[] = []): Record<string, unknown> {
  const decision = redact(placed.decision).body;
  const [queue, infer, decide] = decision.latencyUs;
  return {
    id: decision.id,
    epoch: placed.epoch,
    stream: streamNames[placed.stream] ?? placed.stream,
    seq: placed.seq,
    generation: decision.generation,
    arm: decision.arm,
    agent: decision.agent,
    key: decision.key,
    eventId: decision.eventId ?? null,
    eventTime: iso(decision.eventTime),
    receivedAt: iso(decision.receivedAt),
    decidedAt: iso(decision.decidedAt),
    trace: decision.trace ?? null,
    model: decision.model ?? null,
    inputs: decision.inputs,
    ...(decision.fields === undefined ? {} : { fields: decision.fields }),
    ...(decision.queries === undefined ? {} : { queries: decision.queries }),
    ...(decision.private === undefined ? {} : { private: decision.private }),
    ...(decision.window === undefined ? {} : { window: decision.window }),
    answer: decision.answer ?? null,
    rules: decision.rules,
    source: decision.source,
    ...(decision.reason === undefined ? {} : { reason: decision.reason }),
    samplingProbability: decision.samplingProbability ?? 1,
    latencyMs: { queue: queue / 1000, infer: infer / 1000, decide: decide / 1000 },
    actions,
  };
}

export const decisionColumns = [
  { title: "when" },
  { title: "agent" },
  { title: "key" },
  { title: "answer" },
  { title: "rules" },
  { title: "id" },
] as const;

/** The same as a row that a person reads. */
export function decisionRow(placed: PlacedDecision, nowMs: number, paint: Paint): string[] {
  const decision = redact(placed.decision).body;
  return [
    age(decision.decidedAt, nowMs),
    safe(decision.agent, 24),
    safe(decision.key, 24),
    answerText(decision, paint),
    rulesText(decision, paint),
    decision.id,
  ];
}

function answerText(decision: Decision, paint: Paint): string {
  if (decision.source === "fallback") return paint(safe(`no answer: ${decision.reason ?? "?"}`, 48), "yellow");
  if (decision.source === "silence") return paint("silent", "yellow");
  const parts = Object.entries(decision.answer ?? {}).map(
    ([name, value]) => `${name} ${Array.isArray(value) ? `[${value.length}]` : figure(value)}`,
  );
  return parts.length === 0 ? "–" : safe(parts.join(" "), 48);
}

function rulesText(decision: Decision, paint: Paint): string {
  const fired = decision.rules.filter((rule) => rule.fired).map((rule) => rule.id);
  if (fired.length > 0) return paint(safe(fired.join(" "), 40), "red");
  const holding = decision.rules.find((rule) => rule.why.startsWith("holding"));
  return holding === undefined ? paint("–", "dim") : paint(`${holding.id} ${holding.why}`, "yellow");
}

export const csvHeader =
  "id,epoch,stream,seq,agent,key,eventId,eventTime,receivedAt,decidedAt,source,reason,fired,answer,inputs";

/** One line of --csv (RFC 4180); answer and inputs as JSON in a cell. */
export function decisionCsv(placed: PlacedDecision): string {
  const line = decisionJson(placed);
  const fired = placed.decision.rules.filter((rule) => rule.fired).map((rule) => rule.id);
  const cells = [
    line["id"],
    line["epoch"],
    line["stream"],
    line["seq"],
    line["agent"],
    line["key"],
    line["eventId"] ?? "",
    line["eventTime"],
    line["receivedAt"],
    line["decidedAt"],
    line["source"],
    line["reason"] ?? "",
    fired.join(" "),
    JSON.stringify(line["answer"]),
    JSON.stringify(line["inputs"]),
  ];
  return cells.map(csvCell).join(",");
}

function csvCell(value: unknown): string {
  const text = String(value);
  // A cell that a spreadsheet would run as a formula gets a quote in front: keys come from outside.
  const harmless = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
