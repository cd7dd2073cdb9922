import type { ActionState, Intent, Outcome } from "../../sync/records.ts";
import { PRIVATE, withoutArguments } from "../../sync/redact.ts";
import type { Clock } from "../clock.ts";
import type { NewRecord } from "../store/open-batch.ts";
import type { Action } from "./action.ts";

/** One step of an action's life after its intent. */
export interface Step {
  readonly state: ActionState;
  readonly reason?: string;
  readonly attempt?: number;
  readonly readback?: unknown;
  /** Nothing more comes. */
  readonly final?: boolean;
  /** It never left, or was broken off, for a reason that says nothing of the tool. */
  readonly unrelated?: true;
  /** The person who made it so. */
  readonly by?: string;
}

const MOST_READBACK_CHARS = 1024;

interface Deps {
  readonly clock: Clock;
  readonly newId: (wallMs: number) => string;
  readonly agentNumber: (agent: string) => number;
}

/** What was to be done: a reason or a readback may quote it. */
export type Made = Pick<Intent, "arguments" | "private">;

/** The record of a step. It names no private arguments, and so must not quote one. */
export function outcomeRecord(
  action: Pick<Action, "id" | "proposedBootMs"> & { readonly intent: Made },
  agent: string,
  step: Step,
  deps: Deps,
): NewRecord {
  const wallMs = deps.clock.wallMs();
  const id = deps.newId(wallMs);
  const { proposedBootMs } = action;
  const body: Outcome = {
    v: 1,
    kind: "outcome",
    id,
    intent: action.id,
    agent,
    state: step.state,
    ...(step.reason === undefined ? {} : { reason: withoutArguments(step.reason, action.intent) }),
    ...(proposedBootMs === undefined ? {} : { latencyMs: rounded(deps.clock.bootMs() - proposedBootMs) }),
    ...(step.attempt === undefined || step.attempt === 1 ? {} : { attempt: step.attempt }),
    ...(step.readback === undefined ? {} : { readback: bounded(step.readback, action.intent) }),
    ...(step.final === true ? { final: true as const } : {}),
    ...(step.by === undefined ? {} : { by: step.by }),
  };
  return { stream: 1, kind: "outcome", agent: deps.agentNumber(agent), id, wallMs, body: JSON.stringify(body) };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** What the other side says is evidence, not a place to fill the disk. */
function bounded(value: unknown, made: Made): unknown {
  let text: string;
  try {
    text = JSON.stringify(value) ?? "null";
  } catch {
    // What was read from a message may be nested deeper than it can be written.
    return "(nested too deeply)";
  }
  if (withoutArguments(text, made) !== text) return PRIVATE;
  return text.length <= MOST_READBACK_CHARS ? value : `${text.slice(0, MOST_READBACK_CHARS)}…`;
}
