import { z } from "zod";
import { SyncError } from "./errors.ts";
import { type RecordKind as Kind, recordKinds, startReasons } from "./kinds.ts";

/** The names of the streams, by number. */
export const streamNames = ["safety", "decisions", "quiet", "telemetry"] as const;

const wallMs = z.number().int();
const hex16 = z.string().regex(/^[0-9a-f]{16}$/);
const scalar = z.union([z.number(), z.string(), z.boolean(), z.null()]);
const answerValue = z.union([scalar, z.array(z.union([z.number(), z.null()]))]);

/** Only the fields with a name: a loose schema also has "any other". */
type Named<T> = { [K in keyof T as string extends K ? never : K]: T[K] };

/** What every record says first. A reader keeps the fields it does not know: the schemas are loose on purpose. */
function record<K extends Kind, S extends z.ZodRawShape>(kind: K, shape: S) {
  return z.looseObject({ v: z.literal(1), kind: z.literal(kind), id: z.uuid(), ...shape });
}

export const decisionSchema = record("decision", {
  agent: z.string(),
  key: z.string(),
  eventId: z.string().optional(),
  eventTime: wallMs,
  receivedAt: wallMs,
  decidedAt: wallMs,
  generation: hex16,
  /** Left out: incumbent. */
  arm: z.string().optional(),
  /** The first 16 digits of the digest; the generation, which names it in full, is pinned by its own. */
  model: z.object({ name: z.string(), version: z.number().int(), digest: hex16 }).optional(),
  inputs: z.record(z.string(), scalar),
  fields: z.record(z.string(), scalar).optional(),
  /** Answers of queries that rules could see. */
  queries: z.record(z.string(), z.unknown()).optional(),
  /** Names of inputs and fields that are never shown outside. */
  private: z.array(z.string()).optional(),
  window: z.object({ coverage: z.number(), count: z.number().int() }).optional(),
  state: z.record(z.string(), z.unknown()).optional(),
  answer: z.record(z.string(), answerValue).optional(),
  /** `fired` left out: it did not. */
  rules: z.array(z.object({ id: z.string(), fired: z.literal(true).optional(), why: z.string() })),
  /** Left out: answer. */
  source: z.enum(["none", "fallback", "silence", "cache", "cascade"]).optional(),
  reason: z.string().optional(),
  samplingProbability: z.number().gt(0).max(1).optional(),
  trace: z.string().optional(),
  batch: z.number().int().optional(),
  latencyUs: z.tuple([z.number(), z.number(), z.number()]),
  bootMs: z.number(),
  /** How far the wall clock can be believed. */
  clock: z.string(),
});

/** On the clock of a boot, told by the first digits of its id, and as wall time, for people and for later boots. */
const deadline = z.object({ bootMs: z.number(), wallMs, boot: z.string() });
export type Deadline = z.infer<typeof deadline>;

export const actionClasses = ["notify", "reversible", "consequential", "critical"] as const;
export type ActionClass = (typeof actionClasses)[number];

/** What the policy says of an action; deny: no rule permits it. */
export const policyEffects = ["permit", "requireApproval", "forbid", "deny"] as const;
export type PolicyEffect = (typeof policyEffects)[number];

const actionValue = z.union([z.string(), z.number(), z.boolean()]);

/** What proposals and intents say alike. */
const action = {
  /** Left out: a person proposed it. */
  decision: z.uuid().optional(),
  /** The person who proposed it; left out: a rule did. */
  by: z.string().optional(),
  agent: z.string(),
  key: z.string(),
  rule: z.string(),
  tool: z.string(),
  target: z.string(),
  arguments: z.record(z.string(), actionValue),
  /** Names of arguments that come from private fields: never shown outside. */
  private: z.array(z.string()).optional(),
  class: z.enum(actionClasses),
  verdict: z.object({ effect: z.enum(policyEffects), rules: z.array(z.string()) }),
  /** The first 16 digits of the policy's digest. */
  policy: hex16,
  executeBefore: deadline,
  idempotencyKey: z.string(),
  /** The whole path, with the tool left out. */
  dryRun: z.literal(true).optional(),
  /** Of the event behind it, where the action may leave before its decision is on disk and must not leave twice. */
  eventId: z.string().optional(),
};

/** An action that did not become an intent at once: refused with its reason, or waiting for a person. */
export const proposalSchema = record("proposal", {
  ...action,
  state: z.enum(["denied", "suppressed", "limited", "awaitingApproval"]),
  reason: z.string().optional(),
  approveBefore: deadline.optional(),
  /** How many different people have to say yes. */
  needs: z.number().int().optional(),
  /** SHA-256 of what a yes is given to. */
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** What the policy saw, to be asked again when the yes comes. */
  context: z.record(z.string(), z.unknown()).optional(),
});
export type Proposal = Named<z.infer<typeof proposalSchema>>;

export const intentSchema = record("intent", {
  ...action,
  /** The proposal that it was, when people had to say yes: the action goes on under the proposal's id. */
  proposal: z.uuid().optional(),
});
export type Intent = Named<z.infer<typeof intentSchema>>;

/** The steps of an action's life after it was proposed. */
export const actionStates = [
  "denied",
  "suppressed",
  "limited",
  "awaitingApproval",
  "intended",
  "sent",
  "acknowledged",
  "verified",
  "unverified",
  "failed",
  "expired",
  "unknown",
  "dryRun",
] as const;
export type ActionState = (typeof actionStates)[number];

export const outcomeSchema = record("outcome", {
  /** The action: the intent's id, or that of the proposal that it was. */
  intent: z.uuid(),
  agent: z.string(),
  state: z.enum(actionStates),
  reason: z.string().optional(),
  /** Since the proposal. */
  latencyMs: z.number().optional(),
  attempt: z.number().int().optional(),
  readback: z.unknown().optional(),
  /** The step after which nothing more comes. */
  final: z.literal(true).optional(),
  by: z.string().optional(),
});
export type Outcome = Named<z.infer<typeof outcomeSchema>>;

export const approvalSchema = record("approval", {
  proposal: z.string(),
  /** refused: the answer did not count, and why. */
  decision: z.enum(["approved", "rejected", "expired", "refused"]),
  by: z.string().optional(),
  reason: z.string().optional(),
  signature: z.string().optional(),
  at: wallMs,
});
export type Approval = Named<z.infer<typeof approvalSchema>>;

export const modeSchema = record("mode", {
  scope: z.string(),
  from: z.string(),
  to: z.string(),
  by: z.string(),
  at: wallMs,
});

export const latchSchema = record("latch", {
  latched: z.boolean(),
  why: z.string(),
  by: z.string(),
  nonce: z.string().optional(),
  at: wallMs,
});

/** A chain value, or null where what lay there could not be read any more. */
const chainValue = z.union([z.string().regex(/^[0-9a-f]{64}$/), z.null()]);

export const dropSchema = record("drop", {
  epoch: z.number().int(),
  epochId: hex16,
  stream: z.number().int(),
  from: z.number().int(),
  to: z.number().int(),
  rows: z.number().int(),
  bytes: z.number().int(),
  chainBefore: chainValue,
  chainAfter: chainValue,
  reason: z.enum(["age", "size", "unreadable"]),
  at: wallMs,
});

export const rollupSchema = record("rollup", {
  agent: z.string(),
  minute: wallMs,
  counters: z.record(z.string(), z.number()),
  firstN: z.number().int().optional(),
  lastN: z.number().int().optional(),
});

export const healthSchema = record("health", {
  what: z.string(),
  at: wallMs,
  detail: z.record(z.string(), z.unknown()).optional(),
});

export const transitionSchema = record("transition", {
  generation: hex16,
  from: z.string(),
  to: z.string(),
  at: wallMs,
  /** SHA-256 of the device's name and labels, as rules saw them from then on. */
  device: z.string().optional(),
});

/** How far a stream of an epoch has come: its last seq and the chain value there. */
const head = z.object({
  stream: z.number().int(),
  seq: z.number().int(),
  chain: chainValue,
  /** In head records: where the rows since the head before lay among those of all streams, as a digest. */
  places: hex16.optional(),
});
export type StreamHead = z.infer<typeof head>;

export const gapSchema = z.object({ from: wallMs, to: wallMs, reason: z.string() });
export type Gap = z.infer<typeof gapSchema>;

/** With what the gateway signed: Ed25519 over the line without its last member, `signature`. Older lines have none. */
const signature = { key: hex16.optional(), signature: z.string().optional() };

export const epochStartSchema = record("epochStart", {
  epoch: hex16,
  ordinal: z.number().int(),
  previous: hex16.optional(),
  previousHeads: z.array(head),
  bootId: z.string(),
  fingerprint: z.string(),
  startedAt: wallMs,
  startedBootMs: z.number(),
  reason: z.enum(startReasons),
  gap: gapSchema.optional(),
  notes: z.array(z.string()),
  ...signature,
});

const headsSaid = {
  ordinal: z.number().int(),
  heads: z.array(head),
  at: wallMs,
  ...signature,
};
export const epochCloseSchema = record("epochClose", headsSaid);
export const chainHeadSchema = record("chainHead", headsSaid);
export const feedbackSchema = record("feedback", {
  decision: z.uuid(),
  label: z.unknown(),
  by: z.string(),
  at: wallMs,
});
export const profileSchema = record("profile", { model: z.string(), from: wallMs, to: wallMs });

/** What time it was elsewhere when this boot's clock showed `bootMs`. */
export const clockSyncSchema = record("clockSync", {
  bootId: z.string(),
  bootMs: z.number(),
  wallMs,
  source: z.enum(["fleet", "system"]),
  /** How far `wallMs` may be off. */
  uncertaintyMs: z.number(),
  trust: z.string().optional(),
  at: wallMs,
});

/** What somebody who helps from afar asked for: `SupportBundle` of the daemon, which says what else is in it. */
export const supportSchema = record("support", {
  at: wallMs,
  software: z.record(z.string(), z.string()),
  status: z.record(z.string(), z.unknown()),
  config: z.record(z.string(), z.unknown()),
  notes: z.array(z.unknown()),
});

/** The schema of each kind's body. */
export const recordSchemas = {
  decision: decisionSchema,
  intent: intentSchema,
  outcome: outcomeSchema,
  approval: approvalSchema,
  mode: modeSchema,
  latch: latchSchema,
  drop: dropSchema,
  rollup: rollupSchema,
  health: healthSchema,
  transition: transitionSchema,
  epochStart: epochStartSchema,
  epochClose: epochCloseSchema,
  chainHead: chainHeadSchema,
  feedback: feedbackSchema,
  profile: profileSchema,
  proposal: proposalSchema,
  clockSync: clockSyncSchema,
  support: supportSchema,
} as const satisfies Record<Kind, z.ZodType>;

export type RecordKind = keyof typeof recordSchemas;

/** A decision as its line in the log says it: what is usual is left out, since there are many. */
export type DecisionOnDisk = Named<z.infer<typeof decisionSchema>>;

/** A decision with everything said. */
export interface Decision extends Omit<DecisionOnDisk, "arm" | "rules" | "source" | "clock" | "bootMs"> {
  readonly arm: string;
  readonly rules: readonly { readonly id: string; readonly fired: boolean; readonly why: string }[];
  readonly source: "answer" | NonNullable<DecisionOnDisk["source"]>;
  readonly clock: { readonly bootMs: number; readonly trust: string };
}

/** Reads a decision's line and says what it leaves out. */
export function readDecision(line: string): Decision {
  const { bootMs, clock, ...rest } = JSON.parse(line) as DecisionOnDisk;
  return {
    ...rest,
    arm: rest.arm ?? "incumbent",
    source: rest.source ?? "answer",
    rules: rest.rules.map(({ id, fired, why }) => ({ id, fired: fired ?? false, why })),
    clock: { bootMs, trust: clock },
  };
}

export type Drop = z.infer<typeof dropSchema>;
export type Rollup = z.infer<typeof rollupSchema>;
export type EpochStart = z.infer<typeof epochStartSchema>;
export type EpochClose = z.infer<typeof epochCloseSchema>;
export type ChainHead = z.infer<typeof chainHeadSchema>;
export type Health = z.infer<typeof healthSchema>;

/** Reads one line of the log, of whatever kind. Throws when it is none, or of a kind that is newer than this version. */
export function parseRecord(line: string): { readonly kind: RecordKind; readonly body: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new SyncError("SYNC_RECORD_INVALID", { reason: "not JSON" }, { cause });
  }
  const kind = typeof value === "object" && value !== null && "kind" in value ? value.kind : undefined;
  if (typeof kind !== "string" || !Object.hasOwn(recordKinds, kind))
    throw new SyncError("SYNC_RECORD_UNKNOWN", { kind });
  const parsed = recordSchemas[kind as RecordKind].safeParse(value);
  if (!parsed.success) throw new SyncError("SYNC_RECORD_INVALID", { kind, issues: parsed.error.issues });
  return { kind: kind as RecordKind, body: parsed.data };
}
