import { connectAsync } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { becomes } from "../../scripts/trial/claims.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { FleetSite } from "../support/fleet-site.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const { state } = gatewayTopics("north", "plant-7");
const FOREIGN = { v: 1, kind: "state", state: "ready", session: "00000000000000ff", software: "0.1.0", at: 1 };

describeWithMosquitto("a gateway's link", () => {
  let site: FleetSite;

  beforeEach(async () => {
    site = new FleetSite();
    await site.startBroker();
  });

  afterEach(() => site.close());

  const client = (clientId: string) =>
    connectAsync(`mqtt://127.0.0.1:${site.brokerPort}`, { protocolVersion: 5, clientId, reconnectPeriod: 0 });
  const link = (data: string) =>
    JSON.parse(site.holdfast("link", "--json", "--data", data)) as { state: string; identityConflict: boolean };

  test("writes down that a copy of the gateway is about, and that the gateway went in an orderly way", async () => {
    const heard: string[] = [];
    const observer = await client("observer");
    observer.on(
      "message",
      (_topic, payload) => void heard.push((JSON.parse(payload.toString()) as { state: string }).state),
    );
    await observer.subscribeAsync(state, { qos: 1 });
    const { daemon, data, config } = await site.startGateway("plant-7");
    expect(await becomes(() => heard.at(-1) === "ready", 60_000)).toBe(true);
    expect(link(data)).toMatchObject({ state: "connected", identityConflict: false });
    const copy = await client("plant-7");
    await copy.publishAsync(state, JSON.stringify(FOREIGN), { qos: 1, retain: true });
    expect(await becomes(() => heard.length >= 3, 60_000)).toBe(true);
    expect(await becomes(() => link(data).identityConflict, 60_000)).toBe(true);
    const told = () =>
      site
        .holdfast("audit", "export", "--data", data, "--config", config)
        .split("\n")
        .filter((line) => line.includes("another client has this gateway's name"));
    expect(await becomes(() => told().length > 0, 60_000)).toBe(true);
    expect(told()).toHaveLength(1);
    expect(await daemon.stop()).toBe(0);
    expect(await becomes(() => heard.at(-1) === "stopped", 60_000)).toBe(true);
    await observer.endAsync(true);
    await copy.endAsync(true);
  });
});
