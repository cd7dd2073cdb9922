import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { expect, test } from "vitest";
import { callDaemon } from "../../daemon/api/control-client.ts";
import { openPublisher } from "../../daemon/bus/publisher.ts";
import { childPath } from "../../daemon/children.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { freePort, startDaemon, temporaryFolder } from "../../scripts/trial/daemon.ts";
import { until } from "../support/bus.ts";

/** Values that stand nowhere else. */
const PULSE = 31337.125;
const NAME = "canary-of-ward-7";
const CANARIES = [String(PULSE), NAME];

function configOf(port: number, hook: number): object {
  return {
    schemaVersion: 1,
    bus: { kind: "embedded", port },
    mode: "auto",
    endpoints: { hook: { url: `http://127.0.0.1:${hook}/x`, privateAddress: true } },
    agents: {
      ward: {
        priority: "action",
        sources: [
          {
            ...{ kind: "mqtt", topic: "ward/{bed}/vitals", key: "bed" },
            fields: { pulse: { private: true }, name: { type: "string", private: true }, on: {} },
          },
        ],
        rules: [
          {
            id: "high",
            when: "event.fields.pulse > 200 && event.fields.name != ''",
            do: [
              { tool: "dim", arguments: { bed: "event.key", pulse: "event.fields.pulse", name: "event.fields.name" } },
              { tool: "ask", arguments: { pulse: "event.fields.pulse" } },
              { tool: "tell", arguments: { text: "'look at bed ' + event.key" } },
              { tool: "web", arguments: { text: "'look at bed ' + event.key" } },
            ],
          },
        ],
        record: { quiet: "all" },
      },
    },
    tools: {
      dim: {
        kind: "mqtt",
        topic: "ward/{bed}/lamp",
        payload: { level: "{pulse}", for: "{name}" },
        class: "reversible",
      },
      ask: { kind: "mqtt", topic: "ward/pump", payload: { rate: "{pulse}" }, class: "consequential" },
      tell: { kind: "notify", via: "log" },
      web: { kind: "notify", via: "webhook", endpoint: "hook" },
    },
    policy: [
      { id: "dim", effect: "permit", tools: ["dim"] },
      { id: "ask", effect: "requireApproval", tools: ["ask"] },
    ],
  };
}

/** What a verb printed, on both of its outputs. */
function said(data: string, ...args: string[]): string {
  const done = spawnSync(process.execPath, [childPath("daemon/main"), ...args, "--data", data], { encoding: "utf8" });
  return `${args.join(" ")}\n${done.stdout}\n${done.stderr}`;
}

test("what is private leaves the gateway by no way but a command on its own bus", async () => {
  const folder = temporaryFolder("private");
  const posted: string[] = [];
  const server = createServer((request, response) => {
    request.on("data", (chunk: Buffer) => posted.push(chunk.toString()));
    request.on("end", () => response.end());
  }).listen(0, "127.0.0.1");
  await until("the server", () => server.listening);
  const port = await freePort();
  const config = join(folder, "holdfast.yaml");
  const data = join(folder, "data");
  writeFileSync(config, JSON.stringify(configOf(port, (server.address() as AddressInfo).port)));
  const daemon = await startDaemon(config, data);
  try {
    const commands: string[] = [];
    const lamp = await connectAsync(daemon.bus, { reconnectPeriod: 0 });
    lamp.on("message", (_topic, payload) => commands.push(payload.toString()));
    await lamp.subscribeAsync("ward/+/lamp", { qos: 1 });
    const items: string[] = [];
    const over = new AbortController();
    const following = callDaemon({
      ...{ dataDirectory: data, verb: "events", signal: over.signal },
      onItem: (item) => items.push(JSON.stringify(item)),
    });
    const sensor = await openPublisher({ url: daemon.bus, qos: 1 });
    await sensor.publish("ward/b1/vitals", JSON.stringify({ pulse: 80, name: NAME, on: 1 }));
    await sensor.publish("ward/b1/vitals", JSON.stringify({ pulse: PULSE, name: NAME, on: 1 }));
    await sensor.drained();
    await until("commands, words and sightings", () => commands.length > 0 && posted.length > 0 && items.length > 1);
    // A broken payload quotes what it does not like.
    await sensor.publish("ward/b1/vitals", JSON.stringify({ pulse: NAME, name: NAME, on: 1 }));
    await sensor.drained();
    await until("the words in the journal", () => daemon.lines.some(({ tool }) => tool === "tell"));
    expect(await becomes(async () => (await daemon.status()).deliveries.invalid > 0, 60_000)).toBe(true);
    const status = JSON.stringify(await daemon.status());
    const ids = said(data, "decisions", "--json").match(/"id":"([0-9a-f-]{36})"/g) ?? [];
    const id = ids.at(-1)?.slice(6, -1) ?? "";
    const exported = join(folder, "export.ndjson");
    const everything = [
      ...[status, items.join("\n"), posted.join("\n"), daemon.lines.map((line) => JSON.stringify(line)).join("\n")],
      said(data, "decisions", "--json"),
      said(data, "decisions"),
      said(data, "decisions", "--csv"),
      said(data, "actions"),
      said(data, "actions", "--json"),
      said(data, "approvals"),
      said(data, "approvals", "--json"),
      said(data, "explain", id),
      said(data, "explain", id, "--json"),
      said(data, "reproduce", id),
      said(data, "audit", "show"),
      said(data, "audit", "show", "--json"),
      said(data, "audit", "export", "--out", exported),
      readFileSync(exported, "utf8"),
      said(data, "agents"),
      said(data, "tools", "list"),
    ];
    over.abort();
    await following;
    await sensor.close();
    await lamp.endAsync(true);
    // The lamp got it: the canaries are real, and were looked for where they would have been.
    expect(commands.join("\n")).toContain(NAME);
    expect(everything.join("\n")).toContain("(private)");
    for (const text of everything)
      for (const canary of CANARIES)
        expect(text.includes(canary), `${canary} in: ${text.slice(0, 60)}… ${aroundOf(text, canary)}`).toBe(false);
  } finally {
    await daemon.stop();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

function aroundOf(text: string, canary: string): string {
  const at = text.indexOf(canary);
  return at < 0 ? "" : text.slice(Math.max(0, at - 80), at + 60);
}
