import { join } from "node:path";
import type { Environment } from "../../config/environment.ts";
import type { BusConfig } from "../../config/gateway.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Bus } from "./bus.ts";
import type { CommandBusPart } from "./command-bus.ts";
import { EmbeddedCommandBus } from "./command-embedded.ts";
import { ExternalCommandBus } from "./command-external.ts";
import { EmbeddedBus } from "./embedded.ts";
import { ExternalBus } from "./external-bus.ts";
import { namedFiles } from "./named-files.ts";
import { fileSessionMemory } from "./session-memory.ts";

export interface OpenBus {
  readonly config: BusConfig;
  readonly device: string;
  readonly baseDirectory: string;
  /** Where the session is remembered; undefined: not at all. */
  readonly dataDirectory: string | undefined;
  /** Of it, where the service manager puts credentials. */
  readonly environment: Environment;
  readonly log: Log;
  readonly clock: Clock;
}

/** The LAN bus that the configuration asks for, not yet started. */
export function openBus(options: OpenBus): Bus {
  const { config, clock, log, device } = options;
  const files = namedFiles(options);
  if (config.kind === "external") {
    const memory =
      options.dataDirectory === undefined
        ? noMemory
        : fileSessionMemory(join(options.dataDirectory, "bus-session.json"));
    return new ExternalBus({ clock, log, files, memory }, config, device);
  }
  return new EmbeddedBus({ clock, log, files }, config);
}

/** The way for commands onto the same bus, not yet started. To be started after `bus`, and stopped before it. */
export function openCommandBus(options: Omit<OpenBus, "dataDirectory">, bus: Bus): CommandBusPart {
  const { config, clock, log, device } = options;
  if (config.kind === "external") {
    return new ExternalCommandBus({ clock, log, files: namedFiles(options) }, config, device);
  }
  if (bus instanceof EmbeddedBus) return new EmbeddedCommandBus(bus);
  throw new TypeError("commands on an embedded bus need that bus");
}

const noMemory = { read: () => [], write: () => undefined };
