import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { externalBusSchema } from "../../../config/bus.ts";
import { ExternalCommandBus } from "../../../daemon/bus/command-external.ts";
import { ExternalBus } from "../../../daemon/bus/external-bus.ts";
import { namedFiles } from "../../../daemon/bus/named-files.ts";
import { systemClock } from "../../../daemon/clock.ts";
import { certificatesIn } from "../../../scripts/fleet/certificates.ts";
import { Inbox, recordingLog, sensor, until } from "../../support/bus.ts";
import { command, never, yes } from "../../support/commands.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";

const directory = mkdtempSync(join(tmpdir(), "bus-tls-"));
const at = (name: string): string => join(directory, name);

const { authority, certificate } = certificatesIn(directory);

describeWithMosquitto("the LAN bus over TLS", () => {
  let broker: Mosquitto;
  let url: string;
  let bus: ExternalBus | undefined;

  beforeAll(async () => {
    for (const name of ["plant-ca", "other-ca"]) authority(name);
    certificate("broker", "plant-ca", "subjectAltName=DNS:broker.plant,IP:127.0.0.1");
    certificate("gateway", "plant-ca", "extendedKeyUsage=clientAuth");
    certificate("stranger", "other-ca", "extendedKeyUsage=clientAuth");
    const files = [`cafile ${at("plant-ca.pem")}`, `certfile ${at("broker.pem")}`, `keyfile ${at("broker.key")}`];
    broker = await startMosquitto([...files, "require_certificate true", "use_identity_as_username true"]);
    url = `mqtts://127.0.0.1:${broker.port}`;
  });

  afterEach(async () => {
    await bus?.stop();
  });

  afterAll(async () => {
    await broker.remove();
    rmSync(directory, { recursive: true });
  });

  async function started(tls: Record<string, string>) {
    const deps = {
      clock: systemClock(),
      log: recordingLog(),
      files: namedFiles({ baseDirectory: directory, environment: {} }),
      memory: { read: () => [], write: () => {} },
      random: () => 0,
    };
    const made = new ExternalBus(deps, externalBusSchema.parse({ kind: "external", url, tls }), "test");
    made.subscribe([{ filter: "plant/#", qos: 1, retained: false }]);
    const inbox = new Inbox(made);
    bus = made;
    await made.start(new AbortController().signal);
    return { bus: made, inbox };
  }

  const own = { certificateFile: "gateway.pem", keyFile: "gateway.key" };

  it("knows the broker by its CA, shows its own certificate, and takes messages of QoS 1", async () => {
    const { bus, inbox } = await started({ caFile: "plant-ca.pem", ...own });
    expect(bus.status()).toMatchObject({ connected: true, reason: undefined });
    const read = (name: string): Buffer => readFileSync(at(name));
    const ours = { ca: read("plant-ca.pem"), cert: read("gateway.pem"), key: read("gateway.key") };
    const client = await sensor(url, ours);
    await client.publishAsync("plant/1", "a", { qos: 1 });
    await until("the message", () => inbox.texts.length === 1);
    await client.endAsync();
  });

  it("sends commands with the same certificates", async () => {
    const files = namedFiles({ baseDirectory: directory, environment: {} });
    const config = externalBusSchema.parse({ kind: "external", url, tls: { caFile: "plant-ca.pem", ...own } });
    const commands = new ExternalCommandBus({ clock: systemClock(), log: recordingLog(), files }, config, "test");
    const readings: string[] = [];
    commands.onReading = ({ payload }) => readings.push(payload.toString());
    commands.watch(["plant/+/state"]);
    await commands.start(never);
    const { inbox } = await started({ caFile: "plant-ca.pem", ...own });
    const sent = Array.from({ length: 200 }, (_, index) => command("plant/1/state", `${index}`)).map((one) =>
      commands.publish(one, yes, never),
    );
    expect((await Promise.all(sent)).every(({ kind }) => kind === "acknowledged")).toBe(true);
    await until("the commands", () => inbox.texts.length === 200);
    await commands.drained();
    expect(commands.isConnected).toBe(true);
    expect(readings).toEqual([]);
    await commands.stop();
  });

  it("holds the broker's certificate to the name that it must have", async () => {
    const right = await started({ caFile: "plant-ca.pem", ...own, serverName: "broker.plant" });
    expect(right.bus.status().connected).toBe(true);
    await right.bus.stop();
    const wrong = await started({ caFile: "plant-ca.pem", ...own, serverName: "broker.elsewhere" });
    expect(wrong.bus.status()).toMatchObject({
      connected: false,
      reason: "The broker can not be reached: its certificate is for another name.",
    });
  });

  it.each([
    ["no CA", own],
    ["another CA", { caFile: "other-ca.pem", ...own }],
  ])("does not talk to a broker that %s vouches for", async (_, tls) => {
    const { bus } = await started(tls);
    expect(bus.status().connected).toBe(false);
    expect(bus.status().reason).toMatch(/certificate|CA is not known/);
  });

  it.each([
    ["without a certificate", { caFile: "plant-ca.pem" }],
    [
      "with a certificate of another CA",
      { caFile: "plant-ca.pem", certificateFile: "stranger.pem", keyFile: "stranger.key" },
    ],
  ])("is not let in %s, and says that the broker closed the connection", async (_, tls) => {
    const { bus } = await started(tls);
    expect(bus.status().connected).toBe(false);
    expect(bus.status().reason).toMatch(/broker/);
  });

  it("waits where the key is another certificate's, as in the middle of a renewal, and goes on when both are new", async () => {
    copyFileSync(at("gateway.pem"), at("renewed.pem"));
    copyFileSync(at("stranger.key"), at("renewed.key"));
    chmodSync(at("renewed.key"), 0o600);
    const { bus } = await started({ caFile: "plant-ca.pem", certificateFile: "renewed.pem", keyFile: "renewed.key" });
    expect(bus.status()).toMatchObject({ connected: false });
    expect(bus.status().reason).toMatch(/can not be used together. \(.*renewed.pem\) .*key values mismatch/);
    copyFileSync(at("gateway.key"), at("renewed.key"));
    await until("the connection", () => bus.status().connected);
  });

  it("uses no private key that everyone on the machine may read, and goes on when that is mended", async () => {
    chmodSync(at("gateway.key"), 0o644);
    const { bus } = await started({ caFile: "plant-ca.pem", ...own });
    expect(bus.status().reason).toContain(`Run: chmod o-r ${at("gateway.key")}`);
    chmodSync(at("gateway.key"), 0o600);
    await until("the connection", () => bus.status().connected);
  });
});
