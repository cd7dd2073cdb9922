import type { LoadedConfig } from "../config/load.ts";
import type { BusReading, CommandBus } from "./act/tool.ts";
import { type Resolve, systemResolve } from "./act/tools/dial.ts";
import { createQueryTools } from "./act/tools/query.ts";
import type { NamedFiles } from "./bus/named-files.ts";
import type { Clock } from "./clock.ts";
import type { Prepared } from "./generation.ts";
import type { Log } from "./log.ts";
import { Queries } from "./queries.ts";

export interface OpenQueries {
  readonly config: LoadedConfig["config"];
  readonly prepared: Pick<Prepared, "agents">;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: (wallMs: number) => string;
  readonly files: NamedFiles;
  readonly publish: CommandBus["publish"];
  /** A person switched the tool off. */
  readonly isOff: (tool: string) => boolean;
  /** Looks names up; default: as the system does. */
  readonly resolve?: Resolve | undefined;
}

export interface OpenedQueries {
  readonly queries: Queries;
  /** What has to be watched on the bus, and handed to `heard`. */
  readonly filters: readonly string[];
  heard(reading: BusReading): void;
}

/** The questions of a generation's agents, with the tools that ask them. */
export function openQueries(options: OpenQueries): OpenedQueries {
  const { config, prepared, clock, log, newId, files, publish, isOff, resolve = systemResolve } = options;
  const names = new Set(prepared.agents.flatMap(({ queries }) => queries?.list.map(({ tool }) => tool) ?? []));
  const { tools, filters, heard } = createQueryTools(names, config.generation.tools, config.gateway.endpoints, {
    publish,
    resolve,
    newId: () => newId(clock.wallMs()),
    files,
    isOff,
  });
  return { queries: new Queries({ clock, log, isOff }, tools), filters, heard };
}
