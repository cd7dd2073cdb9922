import { z } from "zod";
import { modes as modeNames } from "../../config/gateway.ts";
import type { ActionClass } from "../../sync/records.ts";
import { DaemonError } from "../errors.ts";
import type { Latch, LatchState } from "../latch.ts";
import type { Modes } from "../modes.ts";
import type { People } from "../people.ts";
import { type Actions, shown } from "./actions.ts";
import { approvalVerbs } from "./approval-verbs.ts";
import { demand, personAsker, type Refusal } from "./as-person.ts";
import type { Verb } from "./control-server.ts";
import type { Identify } from "./identify.ts";

/** A tool as `holdfast tools` lists it. */
export interface ToolLine {
  readonly name: string;
  readonly kind: string;
  readonly class: ActionClass;
}

export interface ActDeps {
  readonly identify: Identify;
  readonly people: People;
  readonly latch: Latch;
  readonly modes: Modes;
  readonly actions: Actions;
  /** Writes the record of a refusal. */
  readonly refused: (refusal: Refusal) => void;
}

interface Listed {
  readonly agents: readonly string[];
  readonly tools: readonly ToolLine[];
}

const argumentsSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const stopSchema = z.object({ why: z.string().min(1) });
const releaseSchema = z.object({ nonce: z.string().optional() });
const modeSchema = z.object({ scope: z.string(), mode: z.enum(modeNames) });
const switchSchema = z.object({ scope: z.string(), on: z.boolean() });
const actSchema = z.object({ tool: z.string(), arguments: argumentsSchema.default({}) });
const takeSchema = z.object({ id: z.string() });

/** What people ask of the running daemon: stop and release, modes and switches, actions, approvals, tasks. */
export function actVerbs(deps: ActDeps, listed: Listed): Readonly<Record<string, Verb>> {
  const { latch, modes, actions } = deps;
  const asPerson = personAsker(deps.identify, deps.refused);
  return {
    ...approvalVerbs(deps, asPerson),
    stop: asPerson("stop", stopSchema, async ({ name }, { why }) => await stopAll(latch, actions, why, name)),
    release: asPerson("release", releaseSchema, async (person, { nonce }) => {
      demand(person, "release");
      return await latch.release(person.name, nonce);
    }),
    mode: asPerson("mode", modeSchema, async (person, { scope, mode }) => {
      if (!modes.isTightening(scope, mode)) demand(person, "loosen");
      await modes.set(scope, mode, person.name);
      return modesView(modes, listed);
    }),
    switch: asPerson("switch", switchSchema, async (person, { scope, on }) => {
      if (on) demand(person, "loosen");
      await modes.switch(scope, on, person.name);
      return modesView(modes, listed);
    }),
    modes: () => modesView(modes, listed),
    act: asPerson("act", actSchema, async (person, { tool, arguments: given }) => {
      demand(person, "use");
      return await actions.propose(person, tool, given);
    }),
    handoffs: () => actions.handoffs().map((one) => ({ ...one, arguments: shown(one) })),
    take: asPerson("take", takeSchema, async (person, { id }) => {
      if (!person.isKnown) throw new DaemonError("NOT_ALLOWED", { who: person.name, reason: "unknown" });
      return await actions.take(id, person);
    }),
  };
}

/** Effects are stopped before anything is waited for; done when it lasts and nothing is on its way any more. */
async function stopAll(latch: Latch, actions: Actions, why: string, by: string): Promise<LatchState> {
  const latching = latch.latch(why, by);
  const [state] = await Promise.all([latching, actions.settle()]);
  return state;
}

export interface ModesView {
  readonly ceiling: string | null;
  /** What the gateway as a whole may do. */
  readonly effective: string;
  readonly scopes: Readonly<Record<string, string>>;
  readonly agents: readonly ScopeView[];
  readonly tools: readonly (ScopeView & ToolLine)[];
}

interface ScopeView {
  readonly name: string;
  /** As set for it alone; null where nobody did. */
  readonly mode: string | null;
  readonly effective: string;
  readonly on: boolean;
}

function modesView(modes: Modes, { agents, tools }: Listed): ModesView {
  const scopes = modes.scopes();
  return {
    ceiling: modes.ceiling ?? null,
    effective: modes.effective(),
    scopes,
    agents: agents.map((name) => ({
      name,
      mode: scopes[`agent:${name}`] ?? null,
      effective: modes.effective(name),
      on: modes.isOff(name, "") === undefined,
    })),
    tools: tools.map((tool) => ({
      ...tool,
      mode: scopes[`tool:${tool.name}`] ?? null,
      effective: modes.effective("", tool.name),
      on: modes.isOff("", tool.name) === undefined,
    })),
  };
}
