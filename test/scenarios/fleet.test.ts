import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { becomes } from "../../scripts/trial/claims.ts";
import { FleetSite } from "../support/fleet-site.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const LONG_MS = 400_000;

describeWithMosquitto("a gateway and its fleet", () => {
  let site: FleetSite;
  let sensor: MqttClient | undefined;

  beforeEach(async () => {
    site = new FleetSite();
    await site.startBroker();
  });

  const leave = async (): Promise<void> => {
    await sensor?.endAsync(true);
    sensor = undefined;
  };

  afterEach(async () => {
    await leave();
    await site.close();
  });

  const measure = async (port: number, from: number, count: number): Promise<void> => {
    sensor ??= await connectAsync({ host: "127.0.0.1", port, protocolVersion: 4 });
    const sent = Array.from({ length: count }, (_, at) =>
      (sensor as MqttClient).publishAsync("sensor/s1", JSON.stringify({ v: ((from + at) % 10) / 10 }), { qos: 1 }),
    );
    await Promise.all(sent);
  };

  const waiting = (data: string): number => {
    const { streams } = JSON.parse(site.holdfast("outbox", "--json", "--data", data)) as {
      streams: { name: string; records: number }[];
    };
    return streams.filter(({ name }) => name !== "telemetry").reduce((sum, one) => sum + one.records, 0);
  };

  const gatewayLine = (name: string): Record<string, unknown> | undefined =>
    (JSON.parse(site.fleet("gateways", "--json")) as Record<string, unknown>[]).find((one) => one["gateway"] === name);

  test("settle after an outage: what was decided meanwhile is there, each once", { timeout: LONG_MS }, async () => {
    const collector = await site.startCollector();
    const { data, port } = await site.startGateway("plant-7");
    await measure(port, 0, 200);
    expect(await becomes(() => waiting(data) === 0, 90_000)).toBe(true);
    await collector.end("SIGKILL");
    await measure(port, 200, 300);
    expect(waiting(data)).toBeGreaterThanOrEqual(300);
    await site.startCollector();
    expect(await becomes(() => waiting(data) === 0, 90_000)).toBe(true);
    const lines = site
      .fleet("decisions", "--gateway", "plant-7", "--limit", "5000", "--json")
      .split("\n")
      .filter(Boolean);
    const ids = lines.map((line) => (JSON.parse(line) as { id: string }).id);
    expect(ids).toHaveLength(500);
    expect(new Set(ids).size).toBe(500);
    expect(JSON.parse(lines[0] ?? "{}")).toMatchObject({ gateway: "plant-7", timeQuality: "corrected", agent: "one" });
    expect(gatewayLine("plant-7")).toMatchObject({ state: "ready", missing: 0, forks: 0, conflicts: 0 });
  });

  test("need no network: what was carried as files counts, and comes once however it came", {
    timeout: LONG_MS,
  }, async () => {
    const stick = join(site.folder, "stick");
    const { data, port, config } = await site.startGateway("plant-8");
    await measure(port, 0, 250);
    const exported = site.holdfast("outbox", "export", stick, "--data", data, "--config", config, "--json");
    expect(JSON.parse(exported)).toMatchObject({ tooLarge: 0 });
    const collector = await site.startCollector();
    expect(JSON.parse(site.fleet("import", stick, "--json"))).toMatchObject({ gateways: ["plant-8"], refused: 0 });
    await collector.end();
    // Once more, by a process that has the database for itself.
    site.fleet("import", stick);
    const told = JSON.parse(
      site.holdfast("outbox", "acknowledge", stick, "--data", data, "--config", config, "--json"),
    );
    expect(told).toMatchObject({ refused: [] });
    await site.startCollector();
    expect(await becomes(() => waiting(data) === 0, 60_000)).toBe(true);
    const ids = site
      .fleet("decisions", "--gateway", "plant-8", "--limit", "5000", "--json")
      .split("\n")
      .filter(Boolean);
    expect(ids).toHaveLength(250);
    expect(gatewayLine("plant-8")).toMatchObject({ conflicts: 0, missing: 0 });
  });

  test("tell a copy: a gateway that was cloned is a fork, and neither loses anything", {
    timeout: LONG_MS,
  }, async () => {
    await site.startCollector();
    const first = await site.startGateway("plant-9");
    await measure(first.port, 0, 50);
    expect(await becomes(() => waiting(first.data) === 0, 90_000)).toBe(true);
    await first.daemon.stop();
    const { cpSync } = await import("node:fs");
    cpSync(first.data, `${first.data}-copy`, { recursive: true });
    await leave();
    const again = await site.startGateway("plant-9", {}, first.port);
    await measure(again.port, 50, 50);
    expect(await becomes(() => waiting(again.data) === 0, 90_000)).toBe(true);
    await again.daemon.stop();
    cpSync(again.data, `${again.data}-kept`, { recursive: true });
    const { rmSync, renameSync } = await import("node:fs");
    rmSync(again.data, { recursive: true });
    renameSync(`${first.data}-copy`, again.data);
    await leave();
    const copy = await site.startGateway("plant-9", {}, first.port);
    await measure(copy.port, 100, 50);
    expect(await becomes(() => waiting(copy.data) === 0, 90_000)).toBe(true);
    expect(gatewayLine("plant-9")).toMatchObject({ conflicts: 0, missing: 0 });
    expect(Number(gatewayLine("plant-9")?.["forks"])).toBeGreaterThan(0);
    const ids = site
      .fleet("decisions", "--gateway", "plant-9", "--limit", "5000", "--json")
      .split("\n")
      .filter(Boolean);
    expect(ids).toHaveLength(150);
  });

  test("say what is wrong with a file, and what to do", () => {
    writeFileSync(join(site.folder, "holdfast-fleet.yaml"), "fleet: north\nbrokers: []\ncolector: {}\n");
    expect(() => site.fleet("gateways")).toThrow(/holdfast-fleet.yaml:3:1: colector: there is no "colector" here/);
  });
});
