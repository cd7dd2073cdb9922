import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { collectorKey } from "../../../fleet/key.ts";
import { signedText } from "../../../sync/signing.ts";
import { gatewayTopics } from "../../../sync/topics.ts";

/** A command of the fleet itself, with its signature: the gateway's mode for one agent, tightened. */
export async function sendCommand(folder: string, port: number, scope: string): Promise<void> {
  const file = (name: string): Buffer => readFileSync(join(folder, name));
  const { signer } = collectorKey(join(folder, ".holdfast-fleet", "collector.key"));
  const now = Date.now();
  const body = {
    ...{ v: 1, kind: "command", fleet: "north", gateway: "plant-7", id: randomUUID(), issuedAt: now },
    ...{ expiresAt: now + 3_600_000, verb: "mode", arguments: { scope, mode: "observe" } },
  };
  const client = await connectAsync(`mqtts://localhost:${port}`, {
    ...{ protocolVersion: 5, clientId: "office", ca: file("fleet-ca.pem") },
    ...{ cert: file("collector.pem"), key: file("collector.key") },
  });
  await client.publishAsync(gatewayTopics("north", "plant-7").command, signedText(body, signer), { qos: 1 });
  await client.endAsync();
}
