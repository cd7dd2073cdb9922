import type { ActionState, Outcome } from "../../sync/records.ts";
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
  /** It never left, for a reason that says nothing of the tool. */
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

/** The record of a step. */
export function outcomeRecord(
  action: Pick<Action, "id" | "proposedBootMs">,
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
    ...(step.reason === undefined ? {} : { reason: step.reason }),
    ...(proposedBootMs === undefined ? {} : { latencyMs: rounded(deps.clock.bootMs() - proposedBootMs) }),
    ...(step.attempt === undefined || step.attempt === 1 ? {} : { attempt: step.attempt }),
    ...(step.readback === undefined ? {} : { readback: bounded(step.readback) }),
    ...(step.final === true ? { final: true as const } : {}),
    ...(step.by === undefined ? {} : { by: step.by }),
  };
  return { stream: 1, kind: "outcome", agent: deps.agentNumber(agent), id, wallMs, body: JSON.stringify(body) };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** What the other side says is evidence, not a place to fill the disk. */
function bounded(value: unknown): unknown {
  let text: string;
  try {
    text = JSON.stringify(value) ?? "null";
  } catch {
    // What was read from a message may be nested deeper than it can be written.
    return "(nested too deeply)";
  }
  return text.length <= MOST_READBACK_CHARS ? value : `${text.slice(0, MOST_READBACK_CHARS)}…`;
}
