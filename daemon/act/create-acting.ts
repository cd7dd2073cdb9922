import type { Environment } from "../../config/environment.ts";
import type { LoadedConfig } from "../../config/load.ts";
import type { Authority } from "../authority.ts";
import type { Bus } from "../bus/bus.ts";
import type { CommandBusPart } from "../bus/command-bus.ts";
import { namedFiles } from "../bus/named-files.ts";
import { openCommandBus } from "../bus/open-bus.ts";
import type { Clock } from "../clock.ts";
import type { Prepared } from "../generation.ts";
import { createJournalLog, type Log } from "../log.ts";
import type { OpenedQueries } from "../open-queries.ts";
import { may } from "../people.ts";
import type { Store } from "../store/store.ts";
import { Acting } from "./acting.ts";
import { Reserve } from "./reserve.ts";
import { watchedFilters } from "./tool-plan.ts";
import { createTools } from "./tools/create-tools.ts";

interface Deps {
  readonly loaded: LoadedConfig;
  readonly prepared: Prepared;
  readonly authority: Authority;
  readonly store: Store;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly environment: Environment;
  readonly dataDirectory: string;
  readonly newId: (wallMs: number) => string;
  /** What is asked on the same bus. */
  readonly asking: Pick<OpenedQueries, "filters" | "heard">;
}

/** What brings proposals into the world, and its own way onto the bus. */
export function createActing(deps: Deps): { acting: Acting; commands: CommandBusPart } {
  const { loaded, prepared, authority, store, bus, clock, log, environment, dataDirectory, newId, asking } = deps;
  const { gateway, generation } = loaded.config;
  const { latch, modes, people } = authority;
  const { baseDirectory } = loaded;
  const commands = openCommandBus(
    { config: gateway.bus, device: gateway.device.name, baseDirectory, environment, log, clock },
    bus,
  );
  const tools = createTools(generation.tools, {
    gateway,
    deviceName: gateway.device.name,
    files: namedFiles({ baseDirectory, environment }),
    log,
    journal: createJournalLog(environment),
    commandBus: commands,
  });
  const acting = new Acting({
    clock,
    log,
    store,
    newId,
    policy: prepared.policy,
    gateway: gateway.device.name,
    plans: prepared.tools,
    tools,
    bus: commands,
    modes,
    isLatched: () => latch.isLatched(),
    isApprover: (name) => {
      const person = people.named(name);
      return person !== undefined && may(person, "approve");
    },
    effectsPerMinute: gateway.limits.effectsPerMinute,
    reserve: new Reserve(dataDirectory),
  });
  commands.watch([...watchedFilters(prepared.tools.values()), ...asking.filters]);
  commands.onReading = (reading) => {
    acting.heard(reading);
    asking.heard(reading);
  };
  return { acting, commands };
}
