import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";

/** Takes what is sent to a gateway that is none, and does nothing with it: `sink-main FOLDER PORT`. */
const [folder = "", port = ""] = process.argv.slice(2);
process.on("disconnect", () => process.exit(0));
const file = (name: string): Buffer => readFileSync(join(folder, name));
const client = await connectAsync(`mqtts://localhost:${port}`, {
  ...{ protocolVersion: 5, clientId: "sink", ca: file("fleet-ca.pem"), reconnectPeriod: 200 },
  ...{ cert: file("collector.pem"), key: file("collector.key"), properties: { receiveMaximum: 20 } },
});
await client.subscribeAsync("holdfast/v1/north/plant-8/#", { qos: 1 });
