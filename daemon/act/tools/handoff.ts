import type { ToolConfig } from "../../../config/tools.ts";
import type { Log } from "../../log.ts";
import type { Tool } from "../tool.ts";
import { fieldsOf } from "./message.ts";
import { stopped } from "./one-try.ts";

export type HandoffConfig = Extract<ToolConfig, { kind: "handoff" }>;

/** A task for a person: it is open until somebody takes it, and is told in the log meanwhile. */
export function createHandoffTool(config: HandoffConfig, deps: { readonly log: Log }): Tool {
  return {
    isCheap: true,
    send: async (call, gate, signal) => {
      if (signal.aborted || !gate()) return stopped;
      deps.log.warn(fieldsOf(call, config.to), "a task waits for a person");
      return { kind: "handedOver" };
    },
  };
}
