import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connectAsync } from "mqtt";
import { collectorFilters } from "../../../sync/topics.ts";
import type { Order } from "./attacker.ts";
import { type Attack, large, small } from "./attacks.ts";
import { Knowledge } from "./knowledge.ts";

/** One with a collector's certificate, in a process of its own: `attacker-main FOLDER PORT SMALL LARGE`, both a second. */
const [folder = "", port = "", smallRate = "0", largeRate = "0"] = process.argv.slice(2);
const TICK_MS = 20;
/** What the broker has not acknowledged: more is held back, or this process would be the one that grows. */
const MOST_UNDER_WAY = 500;
const MOST_UNSENT_BYTES = 1_048_576;
const tell = process.send?.bind(process);
if (tell === undefined) throw new Error("the attacker is told when to begin");
process.on("disconnect", () => process.exit(0));

const file = (name: string): Buffer => readFileSync(join(folder, name));
const client = await connectAsync(`mqtts://localhost:${port}`, {
  ...{ protocolVersion: 5, clientId: "collector-two", ca: file("fleet-ca.pem"), reconnectPeriod: 200 },
  ...{ cert: file("collector.pem"), key: file("collector.key") },
});
const known = new Knowledge("north", "plant-7");
client.on("message", (topic, payload, { qos }) => {
  // What comes by the collectors' subscription comes by this one's own too.
  if (qos === 0) known.heard(topic, payload);
  else swallows += 1;
});
await client.subscribeAsync("holdfast/v1/north/plant-7/#", { qos: 0, nl: true });

const sent: Record<string, number> = {};
let order: Order = "rest";
let underWay = 0;
let swallows = 0;

/** In turn, at QoS 0 and QoS 1. False: the broker takes no more for now. */
function sends(attacks: Readonly<Record<string, Attack>>): () => boolean {
  const names = Object.entries(attacks);
  let turn = 0;
  return () => {
    if (client.stream.writableLength > MOST_UNSENT_BYTES) return false;
    const [name, attack] = names[turn % names.length] as [string, Attack];
    const n = Math.floor(turn / names.length);
    turn += 1;
    const hostile = attack(n, known);
    if (hostile === undefined) return true;
    if (order === "attack") sent[name] = (sent[name] ?? 0) + 1;
    const topic = order === "attack" ? hostile.topic : hostile.topic.replace("/plant-7/", "/plant-8/");
    const qos = n % 2 === 0 || underWay > MOST_UNDER_WAY ? 0 : 1;
    if (qos === 1) underWay += 1;
    client.publish(topic, hostile.payload, { qos, retain: hostile.retain === true }, () => {
      if (qos === 1) underWay -= 1;
    });
    return true;
  };
}

/** As one more collector: what the broker gives to this one the others do not get, and nobody answers it. */
const swallowed = collectorFilters("north");

process.on("message", (given: Order) => {
  if (given === "attack") client.subscribe([...swallowed], { qos: 1 });
  if (order === "attack") client.unsubscribe([...swallowed]);
  order = given;
  if (order === "rest") tell({ sent: { ...sent, swallowed: swallows } });
});
tell({ sent });

const [sendSmall, sendLarge] = [sends(small), sends(large)];
let [owedSmall, owedLarge, lastMs] = [0, 0, performance.now()];
for (;;) {
  await pause(TICK_MS);
  const seconds = (performance.now() - lastMs) / 1000;
  lastMs = performance.now();
  if (order === "rest") continue;
  owedSmall = Math.min(Number(smallRate), owedSmall + seconds * Number(smallRate));
  owedLarge = Math.min(Number(largeRate), owedLarge + seconds * Number(largeRate));
  // The large ones first: of the small ones there are always more than get through.
  for (; owedLarge >= 1 && sendLarge(); owedLarge -= 1);
  for (; owedSmall >= 1 && sendSmall(); owedSmall -= 1);
}
