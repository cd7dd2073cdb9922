import type { Problem } from "../../config/problems.ts";
import type { Decision } from "../../sync/records.ts";
import { DaemonError } from "../errors.ts";
import type { Device } from "../generation.ts";
import type { Policy } from "../guard.ts";
import { agentOf, type PastAgent, type PastGeneration, pastDevice, pastGeneration } from "../past.ts";
import { compilePolicy } from "../policy.ts";
import type { AgentSide } from "./agent-replay.ts";

/** An agent as it was when a decision was made, or why it can not be brought back. */
export type RecordedAgent =
  | {
      readonly ok: true;
      readonly past: PastAgent;
      readonly side: AgentSide;
      readonly device: Device;
    }
  | { readonly ok: false; readonly reason: string };

const MOST_KEPT = 256;

/** What a decision tells of its agent. */
type Told = Pick<Decision, "agent" | "generation" | "model">;

/** The agents of a log's decisions, brought back once each. */
export class RecordedAgents {
  readonly #directory: string;
  readonly #agents = new Map<string, RecordedAgent>();
  readonly #generations = new Map<string, PastGeneration>();
  readonly #devices = new Map<number, Device>();
  readonly #policies = new Map<string, Policy | undefined>();

  constructor(dataDirectory: string) {
    this.#directory = dataDirectory;
  }

  device(epoch: number): Device {
    return remembered(this.#devices, epoch, () => pastDevice(this.#directory, epoch));
  }

  generation(id: string): PastGeneration {
    return remembered(this.#generations, id, () => pastGeneration(this.#directory, id));
  }

  /** The agents of a whole generation, as they were in an epoch. */
  all(id: string, epoch: number): ReadonlyMap<string, RecordedAgent> {
    const { generation, release } = this.generation(id);
    const found = new Map<string, RecordedAgent>();
    for (const [agent, { model }] of Object.entries(release.agents)) {
      const manifest = model === undefined ? undefined : manifestNamed(model, generation.files);
      // Under which name its decisions would tell its model is known only from one of them.
      if (model === undefined || manifest !== undefined)
        found.set(
          agent,
          this.of({ agent, generation: id, ...(manifest === undefined ? {} : { model: manifest }) }, epoch),
        );
    }
    return found;
  }

  of(decision: Told, epoch: number): RecordedAgent {
    const device = this.device(epoch);
    const { generation, agent, model } = decision;
    const place = `${generation} ${agent} ${model?.name} ${model?.version} ${JSON.stringify(device)}`;
    return remembered(this.#agents, place, () => this.#bringBack(decision, device));
  }

  #bringBack(decision: Told, device: Device): RecordedAgent {
    try {
      const generation = this.generation(decision.generation);
      const { policy: rules, tools } = generation.release;
      const past = agentOf(generation, decision, device);
      const policy = remembered(this.#policies, `${decision.generation} ${JSON.stringify(device)}`, () =>
        compilePolicy(rules, { device, tools, problemAt: nowhere, problems: [] }),
      );
      const { plan, compiled, declarations } = past;
      return { ok: true, past, device, side: { plan, compiled, declarations, law: { policy, tools } } };
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      return { ok: false, reason: error.hint ?? error.message };
    }
  }
}

function manifestNamed(
  name: string,
  files: PastGeneration["generation"]["files"],
): NonNullable<Decision["model"]> | undefined {
  const file = files.find((one) => one.path.startsWith(`models/${name}/`) && one.path.endsWith("/manifest.json"));
  return file === undefined ? undefined : (JSON.parse(file.source) as NonNullable<Decision["model"]>);
}

/** Kept files have no lines any more. */
function nowhere(_path: unknown, message: string): Problem {
  return { file: "", line: 1, column: 1, path: "", message };
}

function remembered<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  if (known.has(key)) return known.get(key) as V;
  if (known.size >= MOST_KEPT) known.clear();
  const made = make();
  known.set(key, made);
  return made;
}
