import type { GatewayConfig } from "../../../config/gateway.ts";
import type { ReleaseConfig } from "../../../config/release.ts";
import type { ToolConfig } from "../../../config/tools.ts";
import type { NamedFiles } from "../../bus/named-files.ts";
import type { Log } from "../../log.ts";
import type { CommandBus, Tool } from "../tool.ts";
import { createCommandTool } from "./command.ts";
import type { Resolve } from "./dial.ts";
import { createHandoffTool } from "./handoff.ts";
import { createMqttTool } from "./mqtt.ts";
import { createNotifyTool } from "./notify.ts";
import { createWebhookTool } from "./webhook.ts";

export interface ToolDeps {
  readonly gateway: Pick<GatewayConfig, "people" | "programs" | "endpoints" | "mail">;
  readonly deviceName: string;
  readonly files: NamedFiles;
  readonly log: Log;
  /** For `via: journal`; undefined where standard output does not lead there. */
  readonly journal?: Log | undefined;
  readonly commandBus: CommandBus;
  /** Looks names up; default: as the system does. */
  readonly resolve?: Resolve | undefined;
}

/** The tools that have effects, by name. Queries, which have none, are made elsewhere. */
export function createTools(tools: ReleaseConfig["tools"], deps: ToolDeps): Map<string, Tool> {
  const made = new Map<string, Tool>();
  for (const [name, config] of Object.entries(tools)) {
    const tool = createTool(config, deps);
    if (tool !== undefined) made.set(name, tool);
  }
  return made;
}

function createTool(config: ToolConfig, deps: ToolDeps): Tool | undefined {
  const { gateway, files, resolve } = deps;
  switch (config.kind) {
    case "mqtt":
      return createMqttTool(config, deps);
    case "webhook":
      return createWebhookTool(config, { endpoints: gateway.endpoints, files, resolve });
    case "command":
      return createCommandTool(config, { programs: gateway.programs });
    case "notify":
      return createNotifyTool(config, deps);
    case "handoff":
      return createHandoffTool(config, deps);
    case "query":
      return undefined;
  }
}
