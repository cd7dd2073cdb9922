import type { ToolConfig } from "../../../config/tools.ts";
import { fillValue } from "../template.ts";
import type { Tool } from "../tool.ts";
import { refused } from "./one-try.ts";
import { callEndpoint, type Endpoint, type WebDeps } from "./web.ts";

export type WebhookConfig = Extract<ToolConfig, { kind: "webhook" }>;

export interface WebhookDeps extends WebDeps {
  readonly endpoints: Readonly<Record<string, Endpoint>>;
}

/** A call of a web address. Acknowledged: the server answered with 2xx. */
export function createWebhookTool(config: WebhookConfig, deps: WebhookDeps): Tool {
  const endpoint = deps.endpoints[config.endpoint];
  return {
    send: async (call, gate, signal) => {
      if (endpoint === undefined) return refused(`there is no endpoint "${config.endpoint}"`);
      let body: unknown;
      try {
        body = fillValue(config.body, call.arguments);
      } catch (error) {
        return refused((error as Error).message);
      }
      return await callEndpoint(endpoint, { method: config.method, body }, call, deps, gate, signal);
    },
  };
}
