import { recordKinds } from "../../sync/kinds.ts";
import {
  type Decision,
  type Intent,
  type Proposal,
  type RecordKind,
  type Rollup,
  readDecision,
} from "../../sync/records.ts";
import type { StoredRow } from "../store/queries.ts";
import type { RecordedAction } from "./judging.ts";

/** A decision of the log with the actions that it led to. */
export interface LoggedPass {
  readonly n: number;
  readonly epoch: number;
  readonly stream: number;
  readonly decision: Decision;
  readonly actions: RecordedAction[];
}

/** An action that a person proposed: there is no decision behind it. */
export interface PersonsAction {
  readonly action: RecordedAction;
  readonly wallMs: number;
}

export interface LoggedPage {
  readonly passes: readonly LoggedPass[];
  readonly byPeople: readonly PersonsAction[];
  /** Actions whose decision is not in this time. */
  readonly others: number;
  /** Passes that agents counted, minute by minute: also those that were not written down. */
  readonly counted: ReadonlyMap<string, number>;
}

/** The kinds of records that tell what was decided and done. */
export const replayedKinds: readonly RecordKind[] = ["decision", "proposal", "intent", "rollup"];

/** Puts the log's rows together. A page waits for the next one: the actions of its last decisions may be there. */
export async function* loggedPages(rows: AsyncIterable<readonly StoredRow[]>): AsyncGenerator<LoggedPage> {
  let waiting: OpenPage | undefined;
  for await (const page of rows) {
    const open = openPage(page, waiting);
    if (waiting !== undefined) yield waiting;
    waiting = open;
  }
  if (waiting !== undefined) yield waiting;
}

interface OpenPage extends LoggedPage {
  readonly byId: ReadonlyMap<string, LoggedPass>;
}

function openPage(rows: readonly StoredRow[], before: OpenPage | undefined): OpenPage {
  const passes: LoggedPass[] = [];
  const byId = new Map<string, LoggedPass>();
  const byPeople: PersonsAction[] = [];
  const counted = new Map<string, number>();
  let others = 0;
  for (const { n, epoch, stream, kind, wallMs, body } of rows) {
    if (kind === recordKinds.decision) {
      const pass: LoggedPass = { n, epoch, stream, decision: readDecision(body), actions: [] };
      passes.push(pass);
      byId.set(pass.decision.id, pass);
    } else if (kind === recordKinds.rollup) {
      const { agent, counters } = JSON.parse(body) as Rollup;
      counted.set(agent, (counted.get(agent) ?? 0) + (counters["decided"] ?? 0));
    } else {
      const action = JSON.parse(body) as Proposal | Intent;
      // What people said yes to goes on as an intent: it is the same action.
      if ("proposal" in action && action.proposal !== undefined) continue;
      const pass = byId.get(action.decision ?? "") ?? before?.byId.get(action.decision ?? "");
      if (pass !== undefined) pass.actions.push(action);
      else if (action.decision === undefined) byPeople.push({ action, wallMs });
      else others += 1;
    }
  }
  return { passes, byPeople, others, counted, byId };
}
