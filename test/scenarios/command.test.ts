import { spawn, spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { callAsPerson } from "../../daemon/api/control-client.ts";
import { childPath } from "../../daemon/children.ts";
import { madeCommand } from "../../fleet/command/making.ts";
import { ownKey } from "../../fleet/key.ts";
import { eachRecord } from "../../scripts/trial/acted.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { FleetSite, type Serving } from "../support/fleet-site.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const LONG_MS = 120_000;
const maria = generateKeyPairSync("ed25519");
const TOKEN = "otto's";
const { command: commandTopic, report } = gatewayTopics("north", "plant-7");

interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

interface Told {
  readonly what: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

describeWithMosquitto("a command to a gateway", () => {
  let site: FleetSite;
  let broker: Serving;
  let client: MqttClient;

  beforeEach(async () => {
    site = new FleetSite();
    broker = await site.startBroker();
    await site.startCollector();
    writeFileSync(join(site.folder, "maria.pem"), maria.privateKey.export({ type: "pkcs8", format: "pem" }), {
      mode: 0o600,
    });
    client = await connectAsync(`mqtt://127.0.0.1:${site.brokerPort}`, { protocolVersion: 5, reconnectPeriod: 0 });
  });

  afterEach(async () => {
    await client.endAsync(true);
    await site.close();
  });

  /** The process, and what it has said on the way. */
  const start = (...args: readonly string[]) => {
    const child = spawn(process.execPath, [childPath("fleet/main"), "command", "plant-7", ...args], {
      cwd: site.folder,
    });
    const said = { out: "", err: "" };
    child.stdout.on("data", (piece: Buffer) => (said.out += piece.toString()));
    child.stderr.on("data", (piece: Buffer) => (said.err += piece.toString()));
    const done = new Promise<Ran>((resolve) => child.on("close", (status) => resolve({ status, ...said })));
    return { child, said, done };
  };
  const command = async (...args: readonly string[]): Promise<Ran> => await start(...args).done;

  const gateway = (busPort?: number) => {
    const publicKey = maria.publicKey.export({ format: "der", type: "spki" }).toString("base64");
    const tokenHash = createHash("sha256").update(TOKEN).digest("hex");
    return site.startGateway(
      "plant-7",
      {
        people: { maria: { roles: ["operator", "approver"], publicKey }, otto: { roles: ["operator"], tokenHash } },
        mode: "auto",
        tools: { open: { kind: "mqtt", topic: "plant/{valve}/command", payload: { cmd: "open" } } },
        policy: [{ id: "ask", effect: "requireApproval" }],
        fleet: { keys: [site.fleet("key").trim()] },
      },
      busPort,
    );
  };

  /** What the gateway wrote down of commands. */
  const told = (data: string): Told[] =>
    [...eachRecord(data, ["health"])]
      .map((record) => record as unknown as Told)
      .filter(({ what }) => what.startsWith("command "));

  test("stops it, also when it was away; a replay, a late one and one that was kept are refused and recorded", {
    timeout: LONG_MS,
  }, async () => {
    const { signer } = ownKey(join(site.folder, ".holdfast-fleet", "collector.key"));
    const to = { fleet: "north", gateway: "plant-7" };
    const wish = { verb: "stop", arguments: { why: "never" } } as const;
    const made = (nowMs: number) =>
      madeCommand(to, wish, { signer, person: undefined }, { id: randomUUID(), nowMs, lifeMs: 60_000 });
    const kept = made(Date.now());
    await client.publishAsync(commandTopic, kept.text, { qos: 1, retain: true });
    const stopping = start("stop", "smoke in hall 3", "--json");
    expect(await becomes(() => stopping.said.err.includes("plant-7 is not connected"), 20_000)).toBe(true);

    const { daemon, data } = await gateway();
    expect((await daemon.status()).latched).toBe(false);
    const done = await stopping.done;
    expect(done).toMatchObject({ status: 0 });
    const { id } = JSON.parse(done.out) as { id: string };
    expect(JSON.parse(done.out)).toMatchObject({ gateway: "plant-7", verb: "stop", state: "done" });
    expect((await daemon.status()).latch).toMatchObject({ why: "smoke in hall 3", by: `fleet:${signer.key}` });

    // Once made, sent twice.
    expect(await command("stop", "smoke in hall 4", "--out", "stop.json")).toMatchObject({ status: 0 });
    const file = readFileSync(join(site.folder, "stop.json"), "utf8");
    expect(await command("send", "stop.json")).toMatchObject({
      status: 0,
      out: "plant-7 is stopped: no effect but notifications leaves it until a person releases it there.\n",
    });
    expect(await command("send", "stop.json")).toMatchObject({
      status: 1,
      out: expect.stringMatching(/^plant-7 refuses: it had this one already.*\(seenBefore\)/),
    });

    // Too late, by whoever kept it.
    const late = made(Date.now() - 3_600_000);
    const answers: { id: string; state: string; reason?: string }[] = [];
    client.on("message", (_topic, payload) => void answers.push(JSON.parse(payload.toString())));
    await client.subscribeAsync(report("command"), { qos: 1 });
    await client.publishAsync(commandTopic, late.text, { qos: 1 });
    expect(await becomes(() => answers.length > 0, 20_000)).toBe(true);
    expect(answers).toMatchObject([{ id: late.id, state: "refused", reason: "expired" }]);

    const replayed = (JSON.parse(file) as { id: string }).id;
    const by = `fleet:${signer.key}`;
    expect(await becomes(() => told(data).length === 5, 20_000)).toBe(true);
    expect(told(data)).toMatchObject([
      { what: "command refused", detail: { id: kept.id, reason: "retained" } },
      { what: "command done", detail: { id, by, verb: "stop" } },
      { what: "command done", detail: { id: replayed, by, verb: "stop" } },
      { what: "command refused", detail: { id: replayed, reason: "seenBefore" } },
      { what: "command refused", detail: { id: late.id, reason: "expired" } },
    ]);
  });

  test("has it send what a helper needs, which the fleet then has as a file without secrets", {
    timeout: LONG_MS,
  }, async () => {
    const bundle = (): Ran => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [childPath("fleet/main"), "support-bundle", "plant-7", "--json"],
        { cwd: site.folder, encoding: "utf8" },
      );
      return { status, out: stdout, err: stderr };
    };
    expect(bundle().err).toContain("FLEET_SUPPORT");
    const { data } = await gateway();
    expect(await command("support-bundle")).toMatchObject({ status: 0, out: expect.stringContaining("bundle") });
    expect(await becomes(() => bundle().status === 0, LONG_MS)).toBe(true);
    const made = JSON.parse(bundle().out) as { status: object; config: { people: object }; notes: { what: string }[] };
    expect(made).toMatchObject({ kind: "support", status: { ready: true }, link: { gateway: "plant-7" } });
    expect(Object.keys(made.config.people)).toEqual(["maria", "otto"]);
    expect(JSON.stringify(made)).not.toContain(createHash("sha256").update(TOKEN).digest("hex"));
    // On the spot too, as a file that nobody else may read.
    site.holdfast("support-bundle", "--data", data, "--out", join(site.folder, "own.json.gz"));
    const own = JSON.parse(gunzipSync(readFileSync(join(site.folder, "own.json.gz"))).toString()) as object;
    expect(own).toMatchObject({ kind: "support", software: { node: process.version } });
    expect(statSync(join(site.folder, "own.json.gz")).mode & 0o777).toBe(0o600);
  });

  test("changes what it logs, until it is changed back and no longer than the daemon runs", {
    timeout: LONG_MS,
  }, async () => {
    const { daemon, data, port } = await gateway();
    const debugs = (lines = daemon.lines) => lines.filter(({ level }) => level === "debug").length;
    /** What the LAN bus tells at debug: somebody who speaks no MQTT. */
    const stranger = async (): Promise<void> =>
      await new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n\r\n"));
        socket.on("error", () => undefined);
        socket.on("close", () => resolve());
      });
    await stranger();
    expect(await command("log-level", "debug", "--minutes", "10")).toMatchObject({
      status: 0,
      out: "plant-7 logs debug and above, for 10 min.\n",
    });
    expect(debugs()).toBe(0);
    await stranger();
    expect(await becomes(() => debugs() > 0, 20_000)).toBe(true);
    const before = debugs();
    expect(await command("log-level", "warn")).toMatchObject({ status: 0 });
    await stranger();
    expect(await command("log-level", "info")).toMatchObject({ status: 0 });
    expect(debugs()).toBe(before);
    const changes = daemon.lines.filter(({ event }) => event === "logLevel");
    expect(changes.map(({ from, to }) => `${from} ${to}`)).toEqual(["info debug", "debug warn", "warn info"]);
    expect(await command("log-level", "error")).toMatchObject({ status: 2 });
    expect(await becomes(() => told(data).length === 3, 20_000)).toBe(true);
    expect(told(data)[0]).toMatchObject({
      what: "command done",
      detail: { verb: "logLevel", by: changes[0]?.["person"], arguments: { level: "debug", minutes: 10 } },
    });

    expect(await command("log-level", "debug")).toMatchObject({ status: 0 });
    await daemon.stop();
    const again = await gateway(port);
    await stranger();
    expect(await command("log-level", "debug")).toMatchObject({ status: 0 });
    expect(debugs(again.daemon.lines)).toBe(0);
  });

  test("carries a person's yes and an operator's word, and tells why the gateway refuses somebody else's", {
    timeout: LONG_MS,
  }, async () => {
    const { data } = await gateway();
    expect(await command("mode", "gateway", "observe")).toMatchObject({ status: 0 });
    expect(await command("mode", "gateway", "auto")).toMatchObject({
      status: 1,
      out: expect.stringContaining("whoever signed may not do this there"),
    });
    const asMaria = ["--as", "maria", "--key", "maria.pem"];
    expect(await command("mode", "gateway", "auto", ...asMaria)).toMatchObject({
      status: 0,
      out: "plant-7: the mode of gateway is auto now.\n",
    });
    const { id } = (await callAsPerson({
      ...{ dataDirectory: data, verb: "act" },
      parameters: { tool: "open", arguments: { valve: "v1" }, token: TOKEN },
    })) as { id: string };
    expect(await command("approve", id)).toMatchObject({ status: 2, err: expect.stringContaining("--as") });
    let yes: Ran | undefined;
    const isStored = async (): Promise<boolean> => {
      yes = await command("approve", id, ...asMaria);
      return !yes.err.includes("FLEET_PROPOSAL");
    };
    expect(await becomes(isStored, 30_000)).toBe(true);
    expect(yes).toMatchObject({ status: 0, err: expect.stringContaining('Yes to: open {"valve":"v1"}') });
    const action = site.holdfast("actions", "--json", "--data", data).trim().split("\n").at(-1) ?? "";
    expect(JSON.parse(action)).toMatchObject({ intent: id, approval: { answers: [{ by: "maria" }] } });
    expect(await command("deny", id, ...asMaria)).toMatchObject({
      status: 1,
      out: expect.stringContaining("no such action waits there any more"),
    });
  });

  test("that nobody can take says so, and fails", { timeout: LONG_MS }, async () => {
    const waiting = start("stop", "smoke");
    expect(await becomes(() => waiting.said.err.includes("is not connected"), 20_000)).toBe(true);
    waiting.child.kill("SIGINT");
    expect(await waiting.done).toMatchObject({ status: 1, out: expect.stringMatching(/^plant-7 has not answered/) });
    await broker.end();
    const nowhere = await command("stop", "smoke");
    expect(nowhere).toMatchObject({ status: 1, err: expect.stringContaining("FLEET_BROKER") });
    expect(nowhere.err).toContain("nothing listens at the broker's address");
  });
});
