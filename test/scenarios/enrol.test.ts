import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { childPath } from "../../daemon/children.ts";
import { IdentityFiles } from "../../daemon/enrol/identity-files.ts";
import { Renewer } from "../../daemon/enrol/renewer.ts";
import { readAuthority } from "../../fleet/enrol/authority.ts";
import { enrol } from "../../fleet/enrol/desk.ts";
import { Ledger } from "../../fleet/enrol/ledger.ts";
import { collectorKey } from "../../fleet/key.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { freePort, startDaemon } from "../../scripts/trial/daemon.ts";
import { fleetKeys } from "../../sync/fleet-keys.ts";
import { gatewayTopics } from "../../sync/topics.ts";
import { FleetSite, type Serving, serving } from "../support/fleet-site.ts";
import { watchedLink } from "../support/link.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const FLEET = childPath("fleet/main");
const HOLDFAST = childPath("daemon/main");
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const site = new FleetSite();
const ends: (() => Promise<unknown>)[] = [];
let port = 0;
let broker: Serving | undefined;

interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function ran(program: string, args: readonly string[], cwd = site.folder): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { cwd, encoding: "utf8" });
  return { status, out: stdout, err: stderr };
}

const startBroker = async () => {
  broker = await serving("mosquitto", ["-c", "broker/mosquitto.conf"], site.folder, "running");
};

/** A folder of a gateway with a file that joins when it is told to. */
function gatewayFolder(name: string, more = ""): string {
  const folder = join(site.folder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "holdfast.yaml"), `# of ${name}\nstore: { directory: data }\n${more}`);
  return folder;
}

const joinBy = (name: string, ...args: readonly string[]) =>
  ran(HOLDFAST, ["enroll", ...args], join(site.folder, name));

/** Somebody with a gateway's files, and what became of what they publish. */
async function client(name: string, options: Partial<IClientOptions> = {}): Promise<MqttClient> {
  const { ca, certificate, key } = new IdentityFiles(join(site.folder, name, "data")).paths;
  const [caText, cert, keyText] = [ca, certificate, key].map((path) => readFileSync(path));
  const files = { ca: caText, cert, key: keyText } as IClientOptions;
  const made = await connectAsync(`mqtts://localhost:${port}`, {
    ...{ protocolVersion: 5, clientId: `test-${name}`, reconnectPeriod: 0, ...files, ...options },
  });
  ends.push(() => made.endAsync(true));
  return made;
}

const published = (made: MqttClient, topic: string): Promise<string> =>
  made.publishAsync(topic, "x", { qos: 1 }).then(
    () => "taken",
    (error: Error) => error.message,
  );

describeWithMosquitto("a fleet of one's own", () => {
  beforeAll(async () => {
    port = await freePort();
    const made = ran(FLEET, ["init", "--fleet", "north", "--broker-host", "localhost", "--port", String(port)]);
    expect(made).toMatchObject({ status: 0, err: "" });
    if (process.getuid?.() === 0) appendFileSync(join(site.folder, "broker/mosquitto.conf"), "user root\n");
    await startBroker();
    const collector = await serving(process.execPath, [FLEET, "serve"], site.folder, "collects from the broker");
    ends.push(() => collector.end());
    // Its connection for requests is another one than those for batches.
    expect(await becomes(() => collector.said().split("collects from the broker").length > 3, 60_000)).toBe(true);
  });
  afterAll(async () => {
    for (const end of ends.reverse()) await end().catch(() => undefined);
    await broker?.end();
    await site.close();
  });

  test("lets a gateway in over the broker, once, and writes its file", async () => {
    gatewayFolder("plant-7", "fleet: { name: old, brokers: ['mqtts://x:1'], budget: { bytesPerSecond: 500 } }\n");
    expect(ran(FLEET, ["enroll", "plant-7", "--certificate-days", "1"]).out).toContain(
      "lets one gateway join as plant-7",
    );
    const done = joinBy("plant-7", "../plant-7.enrolment.json", "--write");
    expect(done, done.err).toMatchObject({ status: 0 });
    expect(done.out).toContain("belongs to the fleet north");
    const text = readFileSync(join(site.folder, "plant-7/holdfast.yaml"), "utf8");
    expect(text).toContain("# of plant-7");
    expect(text).toContain("bytesPerSecond: 500");
    expect(text).toContain("certificate: data/fleet/gateway.pem");
    // Asked for again on this gateway, by whom it may have gone wrong halfway: it is the same gateway.
    const again = joinBy("plant-7", "../plant-7.enrolment.json", "--write");
    expect(again).toMatchObject({ status: 0, err: expect.stringContaining("has joined with this enrolment already") });
    expect(readFileSync(join(site.folder, "plant-7/holdfast.yaml"), "utf8")).toContain("gateway.pem");
    gatewayFolder("thief");
    expect(joinBy("thief", "../plant-7.enrolment.json").err).toContain("ENROL_TOKEN_USED");
  });

  test("looks for the gateway's file before the enrolment is used up", () => {
    mkdirSync(join(site.folder, "no-file"));
    ran(FLEET, ["enroll", "plant-6"]);
    expect(joinBy("no-file", "../plant-6.enrolment.json", "--write").err).toContain("JOIN_CONFIG");
    gatewayFolder("plant-6");
    expect(joinBy("plant-6", "../plant-6.enrolment.json", "--write")).toMatchObject({ status: 0 });
  });

  test("lets a gateway in by files that are carried, before it has ever reached the broker", async () => {
    gatewayFolder("plant-8");
    ran(FLEET, ["enroll", "plant-8"]);
    expect(joinBy("plant-8", "--certificate", "x").err).toContain("JOIN_NOT_BEGUN");
    expect(joinBy("plant-8", "../plant-8.enrolment.json", "--request", "csr.json").status).toBe(0);
    expect(ran(FLEET, ["sign", "plant-8/csr.json"]).status).toBe(0);
    const done = joinBy("plant-8", "--certificate", "../plant-8.certificate.json", "--json");
    expect(JSON.parse(done.out)).toMatchObject({ fleet: "north", gateway: "plant-8", copy: null });
    expect(ran(FLEET, ["sign", "plant-8/csr.json"]).status).toBe(0);
    const changed = readFileSync(join(site.folder, "plant-8/csr.json"), "utf8").replace('"plant-8"', '"plant-7"');
    writeFileSync(join(site.folder, "changed.json"), changed);
    expect(ran(FLEET, ["sign", "changed.json"]).err).toContain("ENROL_OTHER_NAME");
  });

  test("takes from a gateway what is below its own name, and nothing else", async () => {
    const own = await client("plant-7");
    const topics = gatewayTopics("north", "plant-7");
    for (const topic of [topics.up("quiet"), topics.hello, topics.state, topics.report("command")])
      expect(await published(own, topic)).toBe("taken");
    const other = gatewayTopics("north", "plant-8");
    for (const topic of [other.hello, other.state, other.command, topics.command, topics.certificate, "x"])
      expect(`${topic} ${await published(own, topic)}`).toBe(`${topic} Publish error: Not authorized`);
    // Not what is said to others either: mosquitto takes the subscription, and tells nothing.
    const heard: string[] = [];
    own.on("message", (topic) => heard.push(topic));
    await own.subscribeAsync([other.certificate, topics.certificate, "holdfast/v1/north/#"], { qos: 1 });
    const collector = await connectAsync(`mqtts://localhost:${port}`, {
      ...{ protocolVersion: 5, ca: readFileSync(join(site.folder, "fleet-ca.pem")), reconnectPeriod: 0 },
      cert: readFileSync(join(site.folder, "collector.pem")),
      key: readFileSync(join(site.folder, "collector.key")),
    });
    ends.push(() => collector.endAsync(true));
    for (const topic of [other.certificate, topics.certificate]) await collector.publishAsync(topic, "x", { qos: 1 });
    expect(await becomes(() => heard.includes(topics.certificate), 60_000)).toBe(true);
    expect(heard.filter((topic) => !topic.startsWith("holdfast/v1/north/plant-7/"))).toEqual([]);
  });

  test("lets nobody in without a certificate, or with a broker's", async () => {
    const ca = readFileSync(join(site.folder, "fleet-ca.pem"));
    const nobody = { protocolVersion: 5, ca, reconnectPeriod: 0 } as const;
    await expect(connectAsync(`mqtts://localhost:${port}`, nobody)).rejects.toThrow();
    const [cert, key] = ["pem", "key"].map((end) => readFileSync(join(site.folder, `broker/broker.${end}`)));
    const asBroker = { ...nobody, cert, key } as IClientOptions;
    await expect(connectAsync(`mqtts://localhost:${port}`, asBroker)).rejects.toThrow();
  });

  test("renews a certificate while its gateway is connected, and uses it from the next connection on", async () => {
    const files = new IdentityFiles(join(site.folder, "plant-7", "data"));
    const read = (path: string) => () => readFileSync(path, "utf8");
    const topics = gatewayTopics("north", "plant-7");
    const { paths } = files;
    const { keys } = JSON.parse(readFileSync(join(site.folder, "plant-7.enrolment.json"), "utf8")) as {
      keys: string[];
    };
    const made = watchedLink(
      [`mqtts://localhost:${port}`],
      { subscriptions: [topics.certificate] },
      {
        files: {
          ca: read(paths.ca),
          certificate: read(paths.certificate),
          key: read(paths.key),
          password: () => undefined,
        },
      },
    );
    ends.push(() => made.link.stop());
    const told: string[] = [];
    const note = (_fields: unknown, message: string) => void told.push(message);
    const renewer = new Renewer(
      // The certificate lives for a day; at the gateway it is later.
      { link: made.link, files, nowMs: () => Date.now() + 20 * HOUR_MS, log: { info: note, warn: note } },
      { fleet: "north", gateway: "plant-7", keys: fleetKeys(keys) },
    );
    made.link.onMessage = (_topic, payload) => renewer.heard(Buffer.from(payload));
    await made.link.start();
    expect(await becomes(() => made.sessions.length === 1, 60_000)).toBe(true);
    const before = files.current();
    renewer.look();
    expect(await becomes(() => files.current()?.certificate !== before?.certificate, 60_000)).toBe(true);
    const after = files.current();
    expect(after?.key).not.toBe(before?.key);
    expect((after?.facts.notAfterMs ?? 0) - Date.now()).toBeLessThanOrEqual(DAY_MS);
    expect([made.sessions.length, files.hasOther()]).toEqual([1, true]);
    await broker?.end();
    await startBroker();
    expect(await becomes(() => made.sessions.length === 2, 60_000)).toBe(true);
    renewer.look();
    await renewer.settled();
    expect(told.at(-1)).toBe("the new certificate works");
    expect([files.hasOther(), files.current()?.certificate]).toEqual([false, after?.certificate]);
    await made.link.stop();
  });

  test("is kept by a daemon whose certificate is to end soon, without anybody's help", async () => {
    const authority = readAuthority(join(site.folder, "ca"));
    const key = collectorKey(join(site.folder, ".holdfast-fleet", "collector.key"));
    // So short that it is to be renewed at once.
    const terms = {
      validMs: HOUR_MS,
      certificateMs: HOUR_MS,
      keys: [key.publicText],
      fleet: "north",
      gateway: "plant-9",
    };
    const text = await enrol(
      { authority, ledger: new Ledger(authority.folder), nowMs: () => Date.now() },
      { ...terms, brokers: [`mqtts://localhost:${port}`] },
      key.signer,
    );
    const bus = `bus: { kind: embedded, port: ${await freePort()} }\n`;
    const folder = gatewayFolder(
      "plant-9",
      `${bus}fleet: { name: x, brokers: ["mqtts://x:1"], firstWithinSeconds: 0 }\n`,
    );
    writeFileSync(join(folder, "enrolment.json"), text);
    const done = joinBy("plant-9", "enrolment.json", "--write");
    expect(done, done.err).toMatchObject({ status: 0 });
    const files = new IdentityFiles(join(folder, "data"));
    const before = files.current();
    const daemon = await startDaemon(join(folder, "holdfast.yaml"), join(folder, "data"));
    ends.push(async () => daemon.kill());
    expect(await becomes(() => files.current()?.certificate !== before?.certificate, 60_000)).toBe(true);
    expect([files.current()?.facts.commonName, files.current()?.key === before?.key]).toEqual(["plant-9", false]);
    expect(files.hasOther()).toBe(true);
    await broker?.end();
    await startBroker();
    // The connection that follows is made with the new pair, and the old one goes.
    expect(await becomes(() => !files.hasOther(), 90_000)).toBe(true);
    // The fleet's own certificate and key are enough to stop it, and this gateway's are not.
    const stop = ran(FLEET, ["command", "plant-9", "stop", "smoke"]);
    expect(stop, stop.err).toMatchObject({ status: 0, out: expect.stringContaining("plant-9 is stopped") });
    expect((await daemon.status()).latch).toMatchObject({ why: "smoke", by: `fleet:${key.signer.key}` });
    const { certificate, key: keyFile } = files.paths;
    const tls = { ca: "fleet-ca.pem", certificate, key: keyFile };
    const own = { fleet: "north", brokers: [`mqtts://localhost:${port}`], tls };
    writeFileSync(join(site.folder, "other.yaml"), JSON.stringify(own));
    const refused = ran(FLEET, ["command", "plant-9", "stop", "smoke", "--config", "other.yaml"]);
    expect(refused).toMatchObject({ status: 1, err: expect.stringContaining("the broker refuses what is published") });
  });

  test("lets a revoked gateway in no more: after SIGHUP no new connection, after a restart none", async () => {
    const standing = await client("plant-7");
    expect(ran(FLEET, ["revoke", "plant-7"]).out).toContain("certificates revoked");
    broker?.child.kill("SIGHUP");
    const refused = () =>
      client("plant-7", { clientId: "another" }).then(
        () => "connected",
        (error: { code?: string }) => error.code,
      );
    const isRefused = async () => (await refused()) === "ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED";
    expect(await becomes(isRefused, 60_000)).toBe(true);
    // What stands goes on, which is why the command says more than "reload".
    expect(await published(standing, gatewayTopics("north", "plant-7").hello)).toBe("taken");
    await broker?.end();
    await startBroker();
    expect(await becomes(() => !standing.connected, 60_000)).toBe(true);
    expect(await becomes(isRefused, 60_000)).toBe(true);
    expect(await refused()).not.toBe("connected");
    const others = await client("plant-8");
    expect(await published(others, gatewayTopics("north", "plant-8").hello)).toBe("taken");
    // The name can be given again.
    expect(ran(FLEET, ["enroll", "plant-7", "--out", "again.json"]).status).toBe(0);
    expect(await becomes(() => joinBy("plant-7", "../again.json").status === 0, 60_000)).toBe(true);
    expect(await published(await client("plant-7"), gatewayTopics("north", "plant-7").hello)).toBe("taken");
  });
});
