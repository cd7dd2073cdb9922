import { describe, expect, test } from "vitest";
import type { Config } from "../../../config/load.ts";
import {
  loginFinding,
  nameFinding,
  ownCertificateFinding,
  portFinding,
  reachFinding,
  tlsFinding,
} from "../../../daemon/doctor/connectivity.ts";
import { connectPacket, readConnack } from "../../../daemon/doctor/mqtt-packet.ts";
import { firstStop, targetsOf } from "../../../daemon/doctor/targets.ts";
import { loaded } from "./site.ts";

const NOW = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;

function configOf(text: string): Config {
  return loaded(text).config;
}

describe("what a gateway connects to", () => {
  test("is told from its configuration, without what an address may hide", () => {
    const config = configOf(`
bus: { kind: external, url: "mqtts://broker.example", username: me, passwordFile: p, tls: { caFile: ca.pem, serverName: other } }
fleet: { name: north, brokers: ["wss://fleet.example/mqtt", "mqtts://[2001:db8::1]:8884"], proxy: "http://proxy.example:3128" }
endpoints: { hook: { url: "https://alerts.example/secret-path?token=x" } }
mail: { host: mail.example, from: a@b.example }
`);
    const found = targetsOf(config);
    expect(found.map(({ subject, host, port }) => `${subject} ${host} ${port}`)).toEqual([
      "mqtts://broker.example:8883 broker.example 8883",
      "wss://fleet.example:443 fleet.example 443",
      "mqtts://[2001:db8::1]:8884 2001:db8::1 8884",
      "https://alerts.example:443 alerts.example 443",
      "mail mail.example:587 mail.example 587",
    ]);
    expect(found.map((one) => firstStop(one).host)).toEqual([
      "broker.example",
      "proxy.example",
      "proxy.example",
      "alerts.example",
      "mail.example",
    ]);
    expect(found.map(({ tls, mqtt }) => [tls?.caKey, mqtt?.scheme])).toEqual([
      ["bus.tls.caFile", "mqtts"],
      ["fleet.tls.ca", "wss"],
      ["fleet.tls.ca", "mqtts"],
      ["endpoints.hook.caFile", undefined],
      [undefined, undefined],
    ]);
    expect(JSON.stringify(found)).not.toContain("token=x");
  });

  test("is nothing for a gateway with its own bus and no fleet", () => {
    expect(targetsOf(configOf("device: { name: a }"))).toEqual([]);
  });
});

describe("of connections, doctor", () => {
  const [target] = targetsOf(
    configOf('bus: { kind: external, url: "mqtts://broker.example:8883", tls: { caFile: ca.pem } }'),
  );
  if (target?.mqtt === undefined) throw new Error("the target is a broker");
  const { mqtt } = target;

  test("tells a name that is not known from name servers that are silent", () => {
    expect(nameFinding("a", { kind: "addresses", addresses: ["10.0.0.1"] }, "").level).toBe("ok");
    expect(nameFinding("a", { kind: "unknown" }, "").problem).toBe("unknown");
    const silent = nameFinding(
      "a",
      { kind: "silent", why: "ETIMEOUT" },
      "nameserver 10.0.0.2\n# nameserver 9\nnameserver 10.0.0.3\n",
    );
    expect(silent).toMatchObject({ problem: "silent", todo: expect.stringContaining("10.0.0.2, 10.0.0.3") });
  });

  test.each([
    [undefined, undefined],
    ["ECONNREFUSED", "refused"],
    ["ETIMEDOUT", "silent"],
    ["EHOSTUNREACH", "unreachable"],
    ["ENETUNREACH", "unreachable"],
    ["PROXY", "proxy"],
  ])("takes the end %s of a connection for %s", (code, found) => {
    expect(reachFinding("s", { host: "h", port: 1 }, "10.0.0.1", code).problem).toBe(found);
  });

  test.each([
    [{}, undefined],
    [{ notBeforeMs: NOW + 1 }, "not-yet-valid"],
    [{ notAfterMs: NOW - 1 }, "expired"],
    [{ notAfterMs: NOW + 30 * DAY - 1 }, "expires-soon"],
    [{ notAfterMs: NOW + 30 * DAY }, undefined],
    [{ refusal: "ERR_TLS_CERT_ALTNAME_INVALID" }, "wrong-name"],
    [{ refusal: "SELF_SIGNED_CERT_IN_CHAIN" }, "untrusted"],
    [{ refusal: "CERT_HAS_EXPIRED" }, "expired"],
    [{ refusal: "CERT_NOT_YET_VALID" }, "not-yet-valid"],
    // The clock comes first: what is not valid yet has no other fault that can be told.
    [{ refusal: "CERT_HAS_EXPIRED", notBeforeMs: NOW + 1 }, "not-yet-valid"],
  ])("finds of a server's certificate with %j: %s", (change, found) => {
    const facts = {
      refusal: undefined,
      notBeforeMs: 0,
      notAfterMs: NOW + 90 * DAY,
      names: "DNS:x",
      protocol: "TLSv1.3",
      ...change,
    };
    expect(tlsFinding(target, facts, NOW).problem).toBe(found);
  });

  test.each([
    [{}, undefined],
    [{ notBeforeMs: NOW + 1 }, "not-yet-valid"],
    [{ notAfterMs: NOW - 1 }, "expired"],
    [{ notAfterMs: NOW + 29 * DAY }, "expires-soon"],
    [{ fitsKey: false }, "mismatched"],
  ])("finds of the gateway's own certificate with %j: %s", (change, found) => {
    const own = {
      key: "k",
      file: "f",
      keyFile: "g",
      notBeforeMs: 0,
      notAfterMs: NOW + 90 * DAY,
      fitsKey: true,
      ...change,
    };
    expect(ownCertificateFinding(own, NOW).problem).toBe(found);
  });

  test.each([
    [{ kind: "code", code: 0, hasSession: false } as const, undefined],
    [{ kind: "code", code: 4, hasSession: false } as const, "refused"],
    [{ kind: "code", code: 0x87, hasSession: false } as const, "refused"],
    [{ kind: "code", code: 0x89, hasSession: false } as const, "unwilling"],
    [{ kind: "other" } as const, "silent"],
    [{ kind: "failed", code: "ETIMEDOUT" } as const, "silent"],
    [{ kind: "failed", code: "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED" } as const, "failed"],
  ])("takes the answer %j to a CONNECT for %s", (answer, found) => {
    expect(loginFinding(target, mqtt, answer).problem).toBe(found);
  });

  test("names who has the port", () => {
    expect(portFinding(1883, false, false, undefined).level).toBe("ok");
    expect(portFinding(1883, true, true, { pid: 1, program: "node" }).level).toBe("ok");
    expect(portFinding(1883, true, false, { pid: 7, program: "mosquitto" }).found).toBe("process 7 (mosquitto) has it");
    expect(portFinding(1883, true, false, undefined).problem).toBe("taken");
  });
});

describe("a CONNECT", () => {
  test("is as the two versions of MQTT have it", () => {
    const words = { clientId: "a", username: "u", password: "p" };
    expect(connectPacket(4, words).toString("hex")).toBe("101300044d51545404c0001e000161000175000170");
    expect(connectPacket(5, words).toString("hex")).toBe("101900044d51545405c0001e051100015180000161000175000170");
    expect(connectPacket(5, { clientId: "a", username: undefined, password: undefined })[9]).toBe(0);
    expect(connectPacket(4, words, true)[9]).toBe(0xc2);
    expect([...connectPacket(4, { ...words, password: "x".repeat(200) }).subarray(0, 3)]).toEqual([0x10, 0xda, 0x01]);
  });

  test("is answered by the code of the CONNACK, however it comes in pieces", () => {
    expect(readConnack(Buffer.from([0x20, 2, 0, 5]))).toEqual({ kind: "code", code: 5, hasSession: false });
    expect(readConnack(Buffer.from([0x20, 0x83, 0x01, 0, 0x87, 0]))).toEqual({
      kind: "code",
      code: 0x87,
      hasSession: false,
    });
    expect(readConnack(Buffer.from([0x20, 2, 0]))).toEqual({ kind: "incomplete" });
    expect(readConnack(Buffer.alloc(0))).toEqual({ kind: "incomplete" });
    expect(readConnack(Buffer.from("HTTP/1.1 400"))).toEqual({ kind: "other" });
  });
});
