import type { ToolConfig } from "../../../config/tools.ts";
import type { Asker, QueryTool } from "../../queries.ts";
import type { BusReading, CommandBus } from "../tool.ts";
import type { Resolve } from "./dial.ts";
import { createHttpGet, type Endpoint } from "./http-get.ts";
import { createMqttQuery, type MqttQuery } from "./query-mqtt.ts";

export interface QueryToolsDeps {
  readonly publish: CommandBus["publish"];
  readonly resolve: Resolve;
  readonly newId: () => string;
  /** Files of endpoints, read anew each time. Throw where they can not be read. */
  readonly files: { secret(name: string): string; text(name: string): string };
  readonly isOff: (tool: string) => boolean;
}

export interface QueryTools {
  readonly tools: ReadonlyMap<string, QueryTool>;
  /** What has to be watched on the bus. */
  readonly filters: readonly string[];
  /** Called with each message that comes there. */
  heard(reading: BusReading): void;
}

const SECOND_MS = 1000;

/** Sets up those tools of a generation that are asked. */
export function createQueryTools(
  names: ReadonlySet<string>,
  configured: Readonly<Record<string, ToolConfig>>,
  endpoints: Readonly<Record<string, Endpoint>>,
  deps: QueryToolsDeps,
): QueryTools {
  const tools = new Map<string, QueryTool>();
  const onBus: MqttQuery[] = [];
  for (const [name, config] of Object.entries(configured)) {
    if (config.kind !== "query" || !names.has(name)) continue;
    const mayLeave = (): boolean => !deps.isOff(name);
    let asker: Asker;
    if (config.endpoint === undefined) {
      const { publish, newId } = deps;
      const query = createMqttQuery(config, { publish, newId, mayLeave });
      onBus.push(query);
      asker = query;
    } else {
      const { resolve, files } = deps;
      asker = createHttpGet(endpoints[config.endpoint] as Endpoint, { resolve, files, mayLeave });
    }
    tools.set(name, {
      asker,
      timeoutMs: config.timeoutSeconds * SECOND_MS,
      freshMs: config.freshForSeconds * SECOND_MS,
      breaker: { failures: config.breaker.failures, openMs: config.breaker.openSeconds * SECOND_MS },
    });
  }
  return {
    tools,
    filters: [...new Set(onBus.map((query) => query.filter))],
    heard: (reading) => {
      for (const query of onBus) query.heard(reading);
    },
  };
}
