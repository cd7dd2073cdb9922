import { loadConfig } from "../../../config/load.ts";
import { pumpConfig } from "../pumps.ts";

type Settings = Readonly<Record<string, unknown>>;

export interface Setup {
  readonly title: string;
  /** Undefined: the configuration that the package brings. */
  readonly config: object | undefined;
  /** Events a second that are sent to it, one after the other. */
  readonly rates: readonly number[];
}

const RATES = [0, 1, 10, 100, 1000];
const DATA = "/var/lib/holdfast";

/** The configurations that are measured: `bus` and `model` as the machine sees them, `cardFile` the example for flash cards. */
export function setups(bus: object, model: string, cardFile: string): Setup[] {
  const pumps = (agent: Settings, rest: Settings = {}): object => windowed(bus, model, agent, rest);
  const card = cardSettings(cardFile);
  return [
    { title: "as the package brings it", config: undefined, rates: [0] },
    { title: "monitor, checkpoints", config: pumps({ priority: "monitor" }), rates: RATES },
    { title: "action, journal", config: pumps({ priority: "action", durability: "journal" }), rates: RATES },
    { title: "flash card", config: pumps(card.agent, card.rest), rates: RATES },
  ];
}

/** The pumps of the other trials with their windowed agent alone: one decision for each event. */
export function windowed(bus: object, model: string, agent: Settings, rest: Settings): object {
  const config = pumpConfig(bus, model);
  const { window: one } = config["agents"] as Record<string, Settings>;
  const { priority, durability = "checkpoint", checkpointSeconds, record } = agent;
  const window = { ...(one?.["window"] as object), durability, ...(checkpointSeconds ? { checkpointSeconds } : {}) };
  const changed = { ...one, priority, window, ...(record === undefined ? {} : { record }) };
  const store = { ...(rest["store"] as object | undefined), directory: DATA };
  return { ...config, ...rest, store, agents: { window: changed } };
}

/** What the example sets that bears on what is written. */
function cardSettings(file: string): { readonly agent: Settings; readonly rest: Settings } {
  const loaded = loadConfig({ file, environment: {} });
  if (!loaded.ok) throw new Error(`${file} has mistakes: ${JSON.stringify(loaded.problems)}`);
  const { gateway, generation } = loaded.config;
  const [agent] = Object.values(generation.agents);
  if (agent?.window === undefined) throw new Error(`${file} has no agent with a window`);
  const { durability, checkpointSeconds } = agent.window;
  return {
    agent: { priority: agent.priority, durability, checkpointSeconds, record: agent.record },
    rest: { store: gateway.store, log: gateway.log },
  };
}
