import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connectAsync } from "mqtt";
import { type Attack, large, small } from "./attacks.ts";
import { Knowledge } from "./knowledge.ts";

/** One with a collector's certificate, in a process of its own: `attacker-main FOLDER PORT SMALL LARGE`, both a second. */
const [folder = "", port = "", smallRate = "0", largeRate = "0"] = process.argv.slice(2);
const TICK_MS = 20;
/** What the broker has not acknowledged: more is held back, or this process would be the one that grows. */
const MOST_UNDER_WAY = 500;
const tell = process.send?.bind(process);
if (tell === undefined) throw new Error("the attacker is told when to begin");
process.on("disconnect", () => process.exit(0));

const file = (name: string): Buffer => readFileSync(join(folder, name));
const client = await connectAsync(`mqtts://localhost:${port}`, {
  ...{ protocolVersion: 5, clientId: "collector-two", ca: file("fleet-ca.pem"), reconnectPeriod: 200 },
  ...{ cert: file("collector.pem"), key: file("collector.key") },
});
const known = new Knowledge("north", "plant-7");
client.on("message", (topic, payload) => known.heard(topic, payload));
await client.subscribeAsync("holdfast/v1/north/plant-7/#", { qos: 0, nl: true });

const sent: Record<string, number> = {};
let [isAttacking, underWay, heldBack] = [false, 0, 0];

/** In turn, at QoS 0 and QoS 1. */
function sends(attacks: Readonly<Record<string, Attack>>): () => void {
  const names = Object.entries(attacks);
  let turn = 0;
  return () => {
    const [name, attack] = names[turn % names.length] as [string, Attack];
    const n = Math.floor(turn / names.length);
    turn += 1;
    const qos = n % 2 === 0 ? 0 : 1;
    if (underWay > MOST_UNDER_WAY || client.stream.writableNeedDrain) {
      heldBack += 1;
      return;
    }
    const hostile = attack(n, known);
    if (hostile === undefined) return;
    sent[name] = (sent[name] ?? 0) + 1;
    if (qos === 1) underWay += 1;
    client.publish(hostile.topic, hostile.payload, { qos, retain: hostile.retain === true }, () => {
      if (qos === 1) underWay -= 1;
    });
  };
}

process.on("message", (order: "attack" | "rest") => {
  isAttacking = order === "attack";
  if (order === "rest") tell({ sent, heldBack });
});
tell({ sent, heldBack });

const [sendSmall, sendLarge] = [sends(small), sends(large)];
let [owedSmall, owedLarge, lastMs] = [0, 0, performance.now()];
for (;;) {
  await pause(TICK_MS);
  const seconds = (performance.now() - lastMs) / 1000;
  lastMs = performance.now();
  if (!isAttacking) continue;
  owedSmall = Math.min(Number(smallRate), owedSmall + seconds * Number(smallRate));
  owedLarge = Math.min(Number(largeRate), owedLarge + seconds * Number(largeRate));
  for (; owedSmall >= 1; owedSmall -= 1) sendSmall();
  for (; owedLarge >= 1; owedLarge -= 1) sendLarge();
}
