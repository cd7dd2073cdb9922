import type { ToolConfig } from "../../../config/tools.ts";
import { traceparentOf } from "../../bus/bus.ts";
import { fillTopic, fillValue } from "../template.ts";
import type { CommandBus, Sent, Tool } from "../tool.ts";
import { refused } from "./one-try.ts";

export type MqttToolConfig = Extract<ToolConfig, { kind: "mqtt" }>;

/** A command on the LAN bus. Acknowledged: the broker has it, and somebody listens. */
export function createMqttTool(config: MqttToolConfig, deps: { readonly commandBus: CommandBus }): Tool {
  return {
    isCheap: true,
    leavesWhole: true,
    send: async (call, gate, signal): Promise<Sent> => {
      let topic: string | undefined;
      let payload: object;
      try {
        topic = fillTopic(config.topic, call.arguments);
        payload = fillValue(config.payload, call.arguments) as object;
      } catch (error) {
        return refused((error as Error).message);
      }
      if (topic === undefined) return refused("an argument does not fit into a level of the topic");
      const id = config.payloadId === "_id" ? { _id: call.idempotencyKey } : {};
      const traceparent = traceparentOf(call.trace);
      const command = {
        topic,
        payload: Buffer.from(JSON.stringify({ ...payload, ...id })),
        timeoutMs: call.timeoutMs,
        // A whole number: what is left of a second is not worth a command that comes too late.
        expirySeconds: Math.max(1, Math.floor(call.remainingMs / 1000)),
        properties: {
          "idempotency-key": call.idempotencyKey,
          ...(traceparent === undefined ? {} : { traceparent }),
        },
      };
      return await deps.commandBus.publish(command, gate, signal);
    },
  };
}
