import type { GatewayConfig } from "../config/gateway.ts";
import type { ToolConfig } from "../config/tools.ts";
import { actVerbs } from "./api/act-verbs.ts";
import type { Actions } from "./api/actions.ts";
import { type AsPerson, personAsker } from "./api/as-person.ts";
import { createClaims } from "./api/claims.ts";
import type { Verb } from "./api/control-server.ts";
import { createIdentify } from "./api/identify.ts";
import type { Clock } from "./clock.ts";
import { Latch } from "./latch.ts";
import { createFirstLatch } from "./latch-file.ts";
import type { Component } from "./lifecycle.ts";
import type { Log } from "./log.ts";
import { Modes } from "./modes.ts";
import { createPeople, type People, type Person } from "./people.ts";
import { createPeopleRecords } from "./people-records.ts";
import type { Store } from "./store/store.ts";

interface Deps {
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly store: Store;
  readonly log: Log;
  readonly newId: (wallMs: number) => string;
  /** The user that runs the daemon. */
  readonly ownUid: number;
}

interface Options {
  readonly gateway: GatewayConfig;
  readonly agents: readonly string[];
  readonly tools: Readonly<Record<string, ToolConfig>>;
}

type MoreVerbs = (asPerson: AsPerson) => Readonly<Record<string, Verb>>;

/** What people have said: whether effects may leave, how far each may go; and who they are. */
export interface Authority {
  /** Starts before the store. */
  readonly first: Component;
  readonly latch: Latch;
  readonly modes: Modes;
  readonly people: People;
  /** What commands may ask. A stop is over when `actions` has settled. */
  verbs(actions: Actions, more: MoreVerbs): Readonly<Record<string, Verb>>;
  /** The same for a person who is known already, by what they signed. */
  verbsFor(actions: Actions, person: Person, more: MoreVerbs): Readonly<Record<string, Verb>>;
}

export function createAuthority(deps: Deps, { gateway, agents, tools }: Options): Authority {
  const { dataDirectory, clock, store, log, ownUid } = deps;
  const records = createPeopleRecords(deps);
  const people = createPeople({ people: gateway.people, ownUid });
  const claims = createClaims({ directory: dataDirectory, clock, ownUid });
  const latch = new Latch({
    directory: dataDirectory,
    control: { state: () => store.control.state(), change: (change) => store.control.change(change) },
    clock,
    onChange: (state) => records.latch(state),
    recorded: () => store.flush(),
    onProblem: (problem) => log.error({ part: "latch", problem }, "the latch is not kept as it should be"),
  });
  const modes = new Modes(
    {
      control: { state: () => store.control.state(), change: (change) => store.control.change(change) },
      record: (change) => records.mode(change),
    },
    { ceiling: gateway.mode, agents, tools: Object.keys(tools) },
  );
  const lines = Object.entries(tools).map(([name, tool]) => ({ name, kind: tool.kind, class: tool.class }));
  return {
    first: {
      name: "latch-file",
      start: async () => {
        try {
          createFirstLatch(dataDirectory, clock.wallMs());
        } catch (err) {
          log.error({ part: "latch", err }, "the latch file could not be made");
        }
      },
      stop: async () => undefined,
    },
    latch,
    modes,
    people,
    verbsFor(actions, person, more) {
      const identify = (): Person => person;
      const { refused } = records;
      return {
        ...more(personAsker(identify, refused)),
        ...actVerbs({ identify, people, latch, modes, actions, refused }, { agents, tools: lines }),
      };
    },
    verbs(actions, more) {
      latch.settle = () => actions.settle();
      const identify = createIdentify(people, claims);
      const refused = records.refused;
      return {
        claim: (_parameters, _item, connection) => claims.claim(connection) ?? null,
        ...more(personAsker(identify, refused)),
        ...actVerbs({ identify, people, latch, modes, actions, refused }, { agents, tools: lines }),
      };
    },
  };
}
