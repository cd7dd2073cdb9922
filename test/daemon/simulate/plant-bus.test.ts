import { afterEach, beforeEach, expect, test } from "vitest";
import { PlantBus } from "../../../daemon/simulate/plant-bus.ts";
import { freePort } from "../../../scripts/trial/daemon.ts";
import { sensor, until } from "../../support/bus.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";

const COMMAND = "cold-store/compressors/dock-1/command";

function plantBus(url: string) {
  const commands: string[] = [];
  const changes: boolean[] = [];
  const bus = new PlantBus(
    {
      onCommand: (topic, payload) => commands.push(`${topic} ${payload}`),
      onChange: (isConnected) => changes.push(isConnected),
    },
    { url },
  );
  return { bus, commands, changes };
}

test("says what to start when there is no broker", async () => {
  const { bus } = plantBus(`mqtt://127.0.0.1:${await freePort()}`);
  await expect(bus.start()).rejects.toMatchObject({
    code: "BROKER_UNREACHABLE",
    hint: expect.stringContaining("holdfast run --config config/examples/cold-store/holdfast.yaml"),
  });
  await bus.stop();
});

describeWithMosquitto("the plant's side of the bus", () => {
  let broker: Mosquitto;
  beforeEach(async () => {
    broker = await startMosquitto();
  });
  afterEach(async () => {
    await broker.remove();
  });

  test("publishes readings, takes commands, and counts what was acknowledged", async () => {
    const { bus, commands } = plantBus(broker.url);
    await bus.start();
    const gateway = await sensor(broker.url);
    const heard: string[] = [];
    gateway.on("message", (topic, payload, { qos, retain }) => heard.push(`${topic} ${payload} ${qos} ${retain}`));
    await gateway.subscribeAsync("cold-store/#", { qos: 1 });
    bus.publish("cold-store/receiver/state", "{}");
    await gateway.publishAsync(COMMAND, '{"cmd":"stop"}', { qos: 1 });
    await until("both arrived", () => heard.length === 2 && commands.length === 1);
    // They came over two connections, so in either order.
    expect(heard.sort()).toEqual([`${COMMAND} {"cmd":"stop"} 1 false`, "cold-store/receiver/state {} 1 false"]);
    expect(commands).toEqual([`${COMMAND} {"cmd":"stop"}`]);
    await bus.stop();
    expect(bus.counts).toEqual({ sent: 1, acknowledged: 1, lost: 0 });
    await gateway.endAsync();
  });

  test("outlives its broker: readings are lost meanwhile, commands come again afterwards", async () => {
    const { bus, commands, changes } = plantBus(broker.url);
    await bus.start();
    await broker.stop();
    await until("the loss was seen", () => changes.length === 1);
    bus.publish("cold-store/receiver/state", "{}");
    expect(bus.counts).toEqual({ sent: 0, acknowledged: 0, lost: 1 });
    await broker.start();
    await until("it is there again", () => changes.length === 2);
    expect(changes).toEqual([false, true]);
    const gateway = await sensor(broker.url);
    await gateway.publishAsync(COMMAND, '{"cmd":"start"}', { qos: 1 });
    await until("the command arrived", () => commands.length === 1);
    await gateway.endAsync();
    await bus.stop();
    await broker.stop();
    expect(changes).toEqual([false, true]);
  });
});
