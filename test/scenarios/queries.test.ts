import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync, type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { becomes } from "../../scripts/trial/claims.ts";
import { freePort, holdfast, type RunningDaemon, startDaemon } from "../../scripts/trial/daemon.ts";
import { busOf, countersIn, decisionsIn } from "../../scripts/trial/fixtures.ts";
import type { Decision } from "../../sync/records.ts";
import { describeWithMosquitto, startMosquitto } from "../support/mosquitto.ts";

/** A server of tariffs that says what it is told to, or nothing. */
class Tariffs {
  asked = 0;
  answer: ((response: ServerResponse) => void) | undefined;
  readonly #server: Server = createServer((_, response) => {
    this.asked += 1;
    this.answer?.(response);
  });
  url = "";

  async open(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/now`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const price = (value: number) => (response: ServerResponse) => void response.end(JSON.stringify({ price: value }));

interface Site {
  readonly folder: string;
  readonly data: string;
  readonly daemon: RunningDaemon;
  readonly client: MqttClient;
}

let site: Site | undefined;
const tariffs = new Tariffs();
beforeAll(() => tariffs.open());
afterAll(() => tariffs.close());
afterEach(async () => {
  const { client, daemon, folder } = site ?? {};
  site = undefined;
  await client?.endAsync(true);
  await daemon?.kill();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

async function open(bus: "embedded" | "external", port: number, agent: object, tools: object): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-queries-"));
  const [config, data] = [join(folder, "holdfast.yaml"), join(folder, "data")];
  const source = { kind: "mqtt", topic: "tank/{tank}", key: "tank", format: "scalar", fields: { level: {} } };
  const filler = { sources: [source], deadlineSeconds: 20, record: { quiet: "all" }, ...agent };
  writeFileSync(
    config,
    JSON.stringify({
      schemaVersion: 1,
      bus: busOf(bus, port),
      endpoints: { tariff: { url: tariffs.url, privateAddress: true } },
      agents: { filler },
      tools,
    }),
  );
  const daemon = await startDaemon(config, data);
  const client = await connectAsync({ host: "127.0.0.1", port, protocolVersion: bus === "external" ? 5 : 4 });
  site = { folder, data, daemon, client };
  return site;
}

/** The decisions so far, when there are so many. */
async function decisions({ data }: Site, count: number): Promise<Decision[]> {
  expect(await becomes(() => decisionsIn(data).length >= count, 60_000)).toBe(true);
  return decisionsIn(data).map((placed) => placed.decision);
}

const byTariff = {
  queries: { tariff: { tool: "tariff" } },
  rules: [{ id: "cheap", when: "query.tariff.price < 0.2 && event.fields.level < 50.0" }],
};
const byHttp = { tariff: { kind: "query", endpoint: "tariff", freshForSeconds: 0.001 } };

test("a rule fires by what an HTTP server says, and the decision can be made again", async () => {
  tariffs.answer = price(0.1);
  const here = await open("embedded", await freePort(), byTariff, byHttp);
  await here.client.publishAsync("tank/t1", "20", { qos: 1 });
  const [first] = await decisions(here, 1);
  expect(first).toMatchObject({ queries: { tariff: { price: 0.1 } }, rules: [{ id: "cheap", fired: true }] });
  tariffs.answer = price(0.4);
  await here.client.publishAsync("tank/t2", "20", { qos: 1 });
  const [, second] = await decisions(here, 2);
  expect(second).toMatchObject({ queries: { tariff: { price: 0.4 } }, rules: [{ id: "cheap", fired: false }] });
  for (const decision of [first, second]) {
    const again = JSON.parse(holdfast(["reproduce", String(decision?.id), "--data", here.data, "--json"]));
    expect(again).toMatchObject({ same: true, compared: [{ what: "rule cheap, when", same: true }] });
  }
  const explained = holdfast(["explain", String(first?.id), "--data", here.data]);
  expect(explained).toContain("query.tariff.price < 0.2  =  true");
});

test("a server that hangs keeps no pass beyond its deadline, and no rule fires by it", async () => {
  tariffs.answer = undefined;
  const here = await open("embedded", await freePort(), { ...byTariff, deadlineSeconds: 1 }, byHttp);
  for (const tank of ["t1", "t2", "t3"]) await here.client.publishAsync(`tank/${tank}`, "20", { qos: 1 });
  const late = await decisions(here, 3);
  for (const { rules, queries } of late) {
    expect(rules).toEqual([{ id: "cheap", fired: false, why: "error: query.tariff has no value" }]);
    expect(queries).toBeUndefined();
  }
  await here.daemon.stop();
  // Not "timeout": the tool may take five seconds, the pass one.
  expect(countersIn(here.data)["filler"]?.["query:tariff:late"]).toBe(3);
});

const byState = {
  queries: { tank: { tool: "tank", arguments: { tank: "event.key" } } },
  rules: [{ id: "open", when: "has(query.tank.open) && query.tank.open" }],
};
const onBus = {
  tank: {
    kind: "query",
    topic: "ask/{tank}/get",
    replyTopic: "ask/{tank}/got",
    payload: { want: "state" },
    freshForSeconds: 60,
  },
};

/** A controller that answers for its tank, and keeps the questions. */
async function answers(client: MqttClient, tank: string, open: boolean): Promise<Record<string, unknown>[]> {
  const asked: Record<string, unknown>[] = [];
  await client.subscribeAsync(`ask/${tank}/get`, { qos: 1 });
  client.on("message", (topic, payload) => {
    if (topic !== `ask/${tank}/get`) return;
    const question = JSON.parse(payload.toString()) as Record<string, unknown>;
    asked.push(question);
    client.publish(`ask/${tank}/got`, JSON.stringify({ _id: "of another", open: !open }), { qos: 1 });
    client.publish(`ask/${tank}/got`, JSON.stringify({ _id: question["_id"], open }), { qos: 1 });
  });
  return asked;
}

async function asksOnBus(bus: "embedded" | "external", port: number): Promise<void> {
  const here = await open(bus, port, byState, onBus);
  const controller = await connectAsync({ host: "127.0.0.1", port, protocolVersion: bus === "external" ? 5 : 4 });
  try {
    const asked = await answers(controller, "t1", true);
    for (const level of ["20", "21", "22"]) await here.client.publishAsync("tank/t1", level, { qos: 1 });
    await here.client.publishAsync("tank/t2", "20", { qos: 1 });
    const all = await decisions(here, 4);
    const of = (key: string) => all.filter((decision) => decision.key === key);
    expect(of("t1").map(({ queries }) => queries)).toEqual(Array(3).fill({ tank: { open: true } }));
    expect(of("t1").map(({ rules }) => rules[0]?.why)).toEqual(["fired", "still firing", "still firing"]);
    expect(of("t2")[0]).toMatchObject({ rules: [{ id: "open", fired: false, why: "condition false" }] });
    // Three passes, and one question: the answer is fresh.
    expect(asked).toEqual([{ want: "state", _id: expect.any(String) }]);
    const again = JSON.parse(holdfast(["reproduce", String(of("t1")[0]?.id), "--data", here.data, "--json"]));
    expect(again).toMatchObject({ same: true });
  } finally {
    await controller.endAsync(true);
  }
}

test("a controller on the embedded bus is asked and answers", async () => {
  await asksOnBus("embedded", await freePort());
});

describeWithMosquitto("on a broker that is there", () => {
  test("a controller is asked and answers", async () => {
    const broker = await startMosquitto();
    try {
      await asksOnBus("external", broker.port);
    } finally {
      await broker.remove();
    }
  });
});
