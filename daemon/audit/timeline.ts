import { type RecordKind, streamNames } from "../../sync/records.ts";
import { redact } from "../../sync/redact.ts";
import type { StoredRow } from "../store/queries.ts";

/** The kinds of records that tell what was done, and by whom. */
export const toldKinds = [
  "epochStart",
  "epochClose",
  "transition",
  "mode",
  "latch",
  "approval",
  "proposal",
  "intent",
  "outcome",
  "feedback",
] as const satisfies readonly RecordKind[];

type Told = (typeof toldKinds)[number];
type Body = Readonly<Record<string, unknown>> & { readonly kind: Told; readonly id: string };

/** What records about an action have in common. */
export interface ActionFacts {
  readonly tool: string;
  readonly target: string;
  readonly agent: string;
}

/** One line of the story. */
export interface Entry {
  readonly n: number;
  readonly epoch: number;
  readonly stream: string;
  readonly seq: number;
  readonly at: number;
  readonly kind: Told;
  readonly id: string;
  /** A person, a rule of an agent, or the daemon itself. */
  readonly who: string;
  readonly what: string;
  readonly why: string | undefined;
  /** The first 16 digits of the policy's digest, and what it said. */
  readonly policy: string | undefined;
  readonly verdict: { readonly effect: string; readonly rules: readonly string[] } | undefined;
  readonly action: string | undefined;
  readonly agent: string | undefined;
  readonly tool: string | undefined;
  /** Set when a person did it. */
  readonly person: string | undefined;
  /** The record as it may leave the gateway. */
  readonly record: Body;
}

export interface EntryFilter {
  readonly tool?: string | undefined;
  readonly agent?: string | undefined;
  readonly person?: string | undefined;
}

/** The body of a row that belongs to the story; undefined for another, and for one that can not be read. */
export function toldBody(row: StoredRow): Body | undefined {
  try {
    const body = JSON.parse(row.body) as Body;
    return (toldKinds as readonly string[]).includes(body.kind) ? redact(body).body : undefined;
  } catch {
    // Damage is for `audit verify` to tell; the story goes on without the line.
    return undefined;
  }
}

/** The action that a record is about: its own id, or the one it names. */
export function actionOf(body: Body): string | undefined {
  switch (body.kind) {
    case "proposal":
      return body.id;
    case "intent":
      return text(body["proposal"]) ?? body.id;
    case "outcome":
      return text(body["intent"]);
    case "approval":
      return text(body["proposal"]);
    default:
      return undefined;
  }
}

/** What a proposal or an intent says of its action. */
export function factsOf(body: Body): ActionFacts | undefined {
  if (body.kind !== "proposal" && body.kind !== "intent") return undefined;
  return { tool: said(body["tool"]), target: said(body["target"]), agent: said(body["agent"]) };
}

export function entryOf(row: StoredRow, body: Body, facts: ActionFacts | undefined): Entry {
  const { n, epoch, seq, wallMs } = row;
  const person = text(body["by"]);
  return {
    n,
    epoch,
    stream: streamNames[row.stream as 0 | 1 | 2 | 3] ?? String(row.stream),
    seq,
    at: wallMs,
    kind: body.kind,
    id: body.id,
    who: person ?? ruleOf(body) ?? "holdfast",
    what: whatOf(body, facts),
    why: whyOf(body),
    policy: text(body["policy"]),
    verdict: body["verdict"] as Entry["verdict"],
    action: actionOf(body),
    agent: text(body["agent"]) ?? facts?.agent,
    tool: text(body["tool"]) ?? facts?.tool,
    person,
    record: body,
  };
}

export function fits(entry: Entry, filter: EntryFilter): boolean {
  const { tool, agent, person } = filter;
  return (
    (tool === undefined || entry.tool === tool) &&
    (agent === undefined || entry.agent === agent) &&
    (person === undefined || entry.person === person)
  );
}

function ruleOf(body: Body): string | undefined {
  const rule = text(body["rule"]);
  return rule === undefined || rule === "" ? undefined : `${rule} of ${said(body["agent"])}`;
}

function whatOf(body: Body, facts: ActionFacts | undefined): string {
  const action = facts === undefined ? `action ${said(actionOf(body))}` : `${facts.tool} ${facts.target}`.trim();
  switch (body.kind) {
    case "epochStart":
      return `start ${said(body["ordinal"])}: ${said(body["reason"])}`;
    case "epochClose":
      return `stopped, start ${said(body["ordinal"])} is over`;
    case "transition":
      return `generation ${said(body["generation"])} ${said(body["to"])}, before ${said(body["from"])}`;
    case "mode":
      return `${said(body["scope"])}: ${said(body["from"])} → ${said(body["to"])}`;
    case "latch":
      return body["latched"] === true ? "stopped all effects" : "released the stop";
    case "approval":
      return `${said(body["decision"])}: ${action}`;
    case "proposal":
      return `proposed ${action}: ${said(body["state"])}${argumentsOf(body)}`;
    case "intent":
      return `${body["dryRun"] === true ? "would do" : "does"} ${action}${argumentsOf(body)}`;
    case "outcome":
      return `${action}: ${said(body["state"])}`;
    case "feedback":
      return `labelled decision ${said(body["decision"])}: ${said(body["label"])}`;
  }
}

function argumentsOf(body: Body): string {
  const given = Object.entries((body["arguments"] ?? {}) as Record<string, unknown>);
  return given.length === 0 ? "" : ` (${given.map(([name, value]) => `${name} ${said(value)}`).join(", ")})`;
}

function whyOf(body: Body): string | undefined {
  const reason = text(body["reason"]);
  if (body.kind === "latch") return text(body["why"]);
  if (body.kind !== "epochStart") return reason;
  const notes = Array.isArray(body["notes"]) ? body["notes"].map(String) : [];
  return notes.length === 0 ? undefined : notes.join("; ");
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function said(value: unknown): string {
  return typeof value === "string" ? value : value === undefined ? "?" : JSON.stringify(value);
}
