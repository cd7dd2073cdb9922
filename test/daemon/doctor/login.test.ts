import { spawnSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, connectAsync } from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Account } from "../../../daemon/doctor/account.ts";
import { connectivityChecks } from "../../../daemon/doctor/connectivity-checks.ts";
import type { Finding } from "../../../daemon/doctor/finding.ts";
import { freePort } from "../../../scripts/trial/daemon.ts";
import { keyPem, newKey } from "../../../sync/certificate-facts.ts";
import { authorityCertificate, issuedCertificate } from "../../../sync/certificates.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { loaded, siteOf } from "./site.ts";

const DAY = 86_400_000;
const PASSWORD = "not to be seen";
const never = new AbortController().signal;

describeWithMosquitto("against a broker with TLS and a password, doctor", () => {
  let folder: string;
  let broker: Mosquitto;
  let port: number;

  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    chmodSync(path, 0o600);
    return path;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-doctor-"));
    const now = Date.now();
    const issuer = { name: "plant", key: newKey() };
    const stranger = { name: "stranger", key: newKey() };
    const key = newKey();
    const wanted = {
      commonName: "localhost",
      publicKey: createPublicKey(key),
      use: "server" as const,
      hosts: ["localhost"],
      nowMs: now,
      notAfterMs: now + 90 * DAY,
    };
    write("ca.pem", await authorityCertificate(issuer, now, now + 900 * DAY));
    write("other-ca.pem", await authorityCertificate(stranger, now, now + 900 * DAY));
    write("password", `${PASSWORD}\n`);
    write("wrong", "another one\n");
    const passwords = join(folder, "passwords");
    spawnSync("mosquitto_passwd", ["-b", "-c", passwords, "gateway", PASSWORD]);
    port = await freePort();
    const lines = [
      `listener ${port} 127.0.0.1`,
      `certfile ${write("server.pem", await issuedCertificate(issuer, wanted))}`,
      `keyfile ${write("server.key", keyPem(key))}`,
      `password_file ${passwords}`,
    ];
    broker = await startMosquitto(lines, { anonymous: false });
  });

  afterAll(async () => {
    await broker.remove();
    rmSync(folder, { recursive: true });
  });

  async function looked(host: string, tls: string, password = "password"): Promise<Finding[]> {
    const bus = `bus: { kind: external, url: "mqtts://${host}:${port}", username: gateway, passwordFile: ${password}, tls: { ${tls} } }\n`;
    const site = siteOf({ dataDirectory: folder, loaded: loaded(bus, folder) });
    const check = connectivityChecks.find(({ tells }) => tells.includes("connectivity.login"));
    return [...((await check?.look(site, never)) ?? [])];
  }

  const short = (findings: readonly Finding[]): string[] =>
    findings.map(({ check, level, problem }) => `${check.slice("connectivity.".length)} ${problem ?? level}`);

  test("comes in, and shows no password", async () => {
    const findings = await looked("localhost", "caFile: ca.pem");
    expect(short(findings)).toEqual(["names ok", "reach ok", "tls ok", "login ok"]);
    expect(JSON.stringify(findings)).not.toContain(PASSWORD);
  });

  test("takes nothing of what waits for the daemon where the broker names its clients by their user", async () => {
    const own = await startMosquitto([`password_file ${join(folder, "passwords")}`, "use_username_as_clientid true"], {
      anonymous: false,
    });
    try {
      const login = {
        clientId: "daemon",
        protocolVersion: 5,
        username: "gateway",
        password: PASSWORD,
        reconnectPeriod: 0,
      } as const;
      const properties = { sessionExpiryInterval: 3600 };
      const daemon = await connectAsync(own.url, { ...login, clean: false, properties });
      await daemon.subscribeAsync("plant/1", { qos: 1 });
      await daemon.endAsync();
      const bus = `bus: { kind: external, url: "${own.url}", username: gateway, passwordFile: password }\n`;
      const site = siteOf({ dataDirectory: folder, loaded: loaded(bus, folder) });
      const check = connectivityChecks.find(({ tells }) => tells.includes("connectivity.login"));
      expect(short([...((await check?.look(site, never)) ?? [])])).toContain("login shared");
      const again = connect(own.url, { ...login, clean: false, properties });
      const { sessionPresent } = await new Promise<{ sessionPresent: boolean }>((resolve) =>
        again.once("connect", resolve),
      );
      expect(sessionPresent).toBe(true);
      await again.endAsync();
    } finally {
      await own.remove();
    }
  });

  test("tells a wrong password", async () => {
    const findings = await looked("localhost", "caFile: ca.pem", "wrong");
    expect(short(findings)).toEqual(["names ok", "reach ok", "tls ok", "login refused"]);
    expect(findings.at(-1)?.found).toMatch(/^CONNACK 0x8[67]/);
  });

  test("tells a CA that did not sign it, and gives that server no password", async () => {
    expect(short(await looked("localhost", "caFile: other-ca.pem"))).toEqual([
      "names ok",
      "reach ok",
      "tls untrusted",
      "login skipped",
    ]);
  });

  test("tells a certificate for another name", async () => {
    expect(short(await looked("127.0.0.1", "caFile: ca.pem"))).toEqual([
      "reach ok",
      "tls wrong-name",
      "login skipped",
      "names ok",
    ]);
    expect(short(await looked("127.0.0.1", "caFile: ca.pem, serverName: localhost"))).toEqual([
      "reach ok",
      "tls ok",
      "login ok",
      "names ok",
    ]);
  });

  test("says what it did not try where a file is missing", async () => {
    expect(short(await looked("localhost", "caFile: nowhere.pem"))).toEqual([
      "names ok",
      "reach ok",
      "tls skipped",
      "login skipped",
    ]);
  });
});

test("a server that takes the connection and is silent is waited for 4 s, not longer", async () => {
  const silent: Server = createServer((socket) => void socket.on("error", () => undefined));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as { port: number };
  const began = performance.now();
  const site = siteOf({
    dataDirectory: tmpdir(),
    loaded: loaded(`bus: { kind: external, url: "mqtt://127.0.0.1:${port}" }\n`),
  });
  const check = connectivityChecks.find(({ tells }) => tells.includes("connectivity.login"));
  const findings = (await check?.look(site, never)) ?? [];
  expect(findings.find((one) => one.check === "connectivity.login")).toMatchObject({
    problem: "silent",
    found: "no CONNACK within 4 s",
  });
  expect(performance.now() - began).toBeLessThan(8000);
  silent.close();
});

test.runIf(process.geteuid?.() === 0)(
  "a secret that the service's user may not read is sent to nobody by a doctor that root runs",
  async () => {
    const heard: Buffer[] = [];
    const listener = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (bytes: Buffer) => void heard.push(bytes));
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as { port: number };
    const folder = mkdtempSync(join(tmpdir(), "holdfast-doctor-"));
    writeFileSync(join(folder, "mine"), PASSWORD, { mode: 0o600 });
    const bus = `bus: { kind: external, url: "mqtt://127.0.0.1:${port}", username: x, passwordFile: ${folder}/mine }\n`;
    const check = connectivityChecks.find(({ tells }) => tells.includes("connectivity.login"));
    const look = async (account: Account): Promise<Finding[]> => [
      ...((await check?.look(siteOf({ dataDirectory: folder, loaded: loaded(bus), account }), never)) ?? []),
    ];
    const login = (await look({ user: "service", group: "service", uid: 54_321, gids: [54_321] })).find(
      (one) => one.check === "connectivity.login",
    );
    expect(login?.found).toContain("the password can not be read");
    expect(Buffer.concat(heard).toString("latin1")).not.toContain(PASSWORD);
    listener.close();
    rmSync(folder, { recursive: true });
  },
);
