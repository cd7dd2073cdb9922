import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { join } from "node:path";
import { connect as connectMqtt, type MqttClient } from "mqtt";
import { afterEach, expect, test } from "vitest";
import { certificatesIn } from "../../scripts/fleet/certificates.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { freePort } from "../../scripts/trial/daemon.ts";
import type { LinkDeps, LinkOptions } from "../../sync/link-types.ts";
import { CAPPED, noFiles, topics, type WatchedLink, watchedLink } from "../support/link.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../support/mosquitto.ts";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

async function mosquitto(lines: readonly string[] = []): Promise<Mosquitto> {
  const made = await startMosquitto(lines);
  open.push(() => made.remove());
  return made;
}

async function started(
  brokers: readonly string[],
  options: Partial<LinkOptions> = {},
  deps: Partial<LinkDeps> = {},
): Promise<WatchedLink> {
  const made = watchedLink(brokers, options, deps);
  open.push(() => made.link.stop());
  await made.link.start();
  return made;
}

const isUp = ({ link }: WatchedLink) => becomes(() => link.state().state === "connected", 60_000);
const reasonOf = async ({ link }: WatchedLink) => {
  await becomes(() => link.state().reason !== undefined, 60_000);
  return link.state().reason;
};

/** Somebody at the broker, and the states of the gateway that it is told. */
async function observer(broker: Mosquitto): Promise<{ client: MqttClient; states: () => (string | undefined)[] }> {
  const client = connectMqtt(broker.url, { protocolVersion: 5 });
  open.push(() => client.endAsync(true));
  const heard: string[] = [];
  client.on("message", (topic, payload) => {
    if (topic === topics.state) heard.push(JSON.parse(payload.toString()).state);
  });
  await new Promise((resolve) => client.once("connect", resolve));
  await client.subscribeAsync(topics.state, { qos: 1 });
  return { client, states: () => heard };
}

/** A mosquitto that wants certificates, with TLS and with WebSockets in TLS. */
async function secureMosquitto() {
  const [secure, web] = [await freePort(), await freePort()];
  const site = { directory: "" };
  // The certificates have to be there before it starts, and its folder is made by it.
  const tls = [
    "cafile %D/ca.pem",
    "certfile %D/broker.pem",
    "keyfile %D/broker.key",
    "require_certificate true",
    "use_identity_as_username true",
  ];
  const broker = await mosquitto();
  site.directory = broker.directory;
  const made = certificatesIn(site.directory);
  made.authority("ca");
  made.authority("stranger");
  made.certificate("broker", "ca", "subjectAltName=IP:127.0.0.1,DNS:localhost");
  made.certificate("plant-7", "ca", "extendedKeyUsage=clientAuth");
  made.certificate("foreign", "stranger", "extendedKeyUsage=clientAuth");
  made.certificate("expired", "ca", "extendedKeyUsage=clientAuth", "20200101000000Z", "20200102000000Z");
  await broker.stop();
  const file = join(site.directory, "mosquitto.conf");
  const listeners = [
    `listener ${secure} 127.0.0.1`,
    ...tls,
    `listener ${web} 127.0.0.1`,
    "protocol websockets",
    ...tls,
  ];
  writeFileSync(file, `${readFileSync(file, "utf8")}${listeners.join("\n").replaceAll("%D", site.directory)}\n`);
  await broker.start();
  const pem = (name: string) => () => readFileSync(join(site.directory, name), "utf8");
  const files = { ...noFiles, ca: pem("ca.pem"), certificate: pem("gateway.pem"), key: pem("gateway.key") };
  /** What the gateway's two files are from now on. */
  const use = (name: string): void => {
    for (const end of ["pem", "key"])
      copyFileSync(join(site.directory, `${name}.${end}`), join(site.directory, `gateway.${end}`));
  };
  return {
    broker,
    files,
    use,
    secure: `mqtts://127.0.0.1:${secure}`,
    web: `wss://localhost:${web}/mqtt`,
    webPort: web,
  };
}

describeWithMosquitto("the link to a mosquitto", () => {
  test("speaks with it, and comes back when it was restarted or killed", async () => {
    const broker = await mosquitto();
    const made = await started([broker.url], { backoff: { ...CAPPED, baseMs: 20, capMs: 100 } });
    for (const [times, signal] of [
      [1, "SIGTERM"],
      [2, "SIGKILL"],
    ] as const) {
      expect(await becomes(() => made.sessions.length === times, 60_000)).toBe(true);
      expect(await made.link.publish({ topic: topics.hello, payload: "{}", qos: 1 })).toBe(0x10);
      await broker.stop(signal);
      expect(await becomes(() => made.downs() === times, 60_000)).toBe(true);
      await broker.start();
    }
    expect(await becomes(() => made.sessions.length === 3, 60_000)).toBe(true);
    const { client } = await observer(broker);
    await client.subscribeAsync("holdfast/v1/north/+/up/+", { qos: 1 });
    expect(await made.link.publish({ topic: topics.hello, payload: "{}", qos: 1 })).toBe(0);
    await client.publishAsync(topics.command, "once", { qos: 1 });
    expect(await becomes(() => made.messages.length === 1, 60_000)).toBe(true);
    expect(made.messages[0]).toEqual({ topic: topics.command, bytes: 4, isRetained: false });
  });

  test("is seen as ready, and as stopped after an orderly end", async () => {
    const broker = await mosquitto();
    const { states } = await observer(broker);
    const made = await started([broker.url], { backoff: CAPPED });
    expect(await becomes(() => states().length === 1, 60_000)).toBe(true);
    await made.link.stop();
    expect(await becomes(() => states().length === 2, 60_000)).toBe(true);
    expect(states()).toEqual(["ready", "stopped"]);
    // Kept for whoever asks later.
    const late = await observer(broker);
    expect(await becomes(() => late.states().length > 0, 60_000)).toBe(true);
    expect(late.states()).toEqual(["stopped"]);
  });

  test("finds another client with its name though the broker ends connections without a word", async () => {
    const broker = await mosquitto();
    const made = await started([broker.url], { backoff: CAPPED });
    expect(await isUp(made)).toBe(true);
    const clone = await started([broker.url], { backoff: CAPPED });
    expect(await isUp(clone)).toBe(true);
    expect(await becomes(() => made.link.state().reason !== undefined, 60_000)).toBe(true);
    expect([made.conflicts(), clone.conflicts()]).toEqual([0, 0]);
    // The first one comes back, and finds that somebody else was there; then it is ended again.
    made.link.retryNow();
    expect(await becomes(() => made.conflicts() === 1, 60_000)).toBe(true);
    clone.link.retryNow();
    expect(await becomes(() => made.link.state().reason?.words.includes("another client") === true, 60_000)).toBe(true);
    const { nextAttemptAtMs = 0, identityConflict } = made.link.state();
    expect(identityConflict).toBe(true);
    // Sixty seconds or more, less what this test took to look.
    expect(nextAttemptAtMs - Date.now()).toBeGreaterThan(50_000);
    expect(await becomes(() => clone.conflicts() === 1, 60_000)).toBe(true);
  });

  test("says in words what the broker's list of rights keeps from it", async () => {
    const broker = await mosquitto();
    await broker.stop();
    writeFileSync(join(broker.directory, "acl"), `topic read ${topics.acknowledgement}\ntopic write ${topics.state}\n`);
    const file = join(broker.directory, "mosquitto.conf");
    writeFileSync(file, `${readFileSync(file, "utf8")}${"acl_file %D/acl".replace("%D", broker.directory)}\n`);
    await broker.start();
    const made = await started([broker.url], { backoff: CAPPED, subscriptions: [topics.acknowledgement] });
    expect(await isUp(made)).toBe(true);
    expect(await made.link.publish({ topic: topics.hello, payload: "{}", qos: 1 })).toBe(0x87);
    expect(made.link.state().reason?.words).toBe(`the broker refuses what is published on ${topics.hello}`);
  });

  test("speaks TLS and WebSockets with its certificate, also through a proxy", async () => {
    const { files, use, secure, web, webPort } = await secureMosquitto();
    use("plant-7");
    const proxy = createHttpServer();
    const targets: string[] = [];
    proxy.on("connect", (request, socket) => {
      targets.push(request.url ?? "");
      const onward = connectTcp(webPort, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        onward.pipe(socket).pipe(onward);
      });
      for (const one of [onward, socket]) one.on("error", () => one.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    open.push(() => new Promise((resolve) => proxy.close(resolve)));
    const through = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    for (const [url, options] of [
      [secure, {}],
      [web, {}],
      [web, { proxy: through }],
    ] as const) {
      const made = await started([url], options, { files });
      expect(await isUp(made), JSON.stringify(made.link.state())).toBe(true);
      const payload = new Uint8Array(90_000);
      expect(await made.link.publish({ topic: topics.up("quiet"), payload, qos: 1 })).toBe(0x10);
      const { bytesSent, bytesReceived } = made.link.state();
      expect(bytesSent).toBeGreaterThan(91_000);
      expect(bytesSent).toBeLessThan(96_000);
      expect(bytesReceived).toBeGreaterThan(800);
      await made.link.stop();
      expect(made.link.state()).toMatchObject({ state: "off", bytesSent: expect.any(Number) });
      expect(made.link.state().bytesSent).toBeGreaterThanOrEqual(bytesSent);
    }
    expect(targets).toEqual([`localhost:${webPort}`]);
  });

  test("takes a certificate that was replaced, without a restart", async () => {
    const { files, use, secure } = await secureMosquitto();
    use("foreign");
    const made = await started([secure], { backoff: CAPPED }, { files });
    expect(await reasonOf(made)).toMatchObject({
      name: "certificate",
      advice: expect.stringContaining("fleet.tls.certificate"),
    });
    use("expired");
    made.link.retryNow();
    expect(
      await becomes(() => made.link.state().reason?.words.includes("our certificate has expired") === true, 60_000),
    ).toBe(true);
    use("plant-7");
    made.link.retryNow();
    expect(await isUp(made)).toBe(true);
  });
});
