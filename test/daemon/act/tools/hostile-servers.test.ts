import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { toolSchema } from "../../../../config/tools.ts";
import { createWebhookTool, type WebhookConfig } from "../../../../daemon/act/tools/webhook.ts";
import { namedFiles } from "../../../../daemon/bus/named-files.ts";
import { certificatesIn } from "../../../../scripts/fleet/certificates.ts";
import { until } from "../../../support/bus.ts";
import { countingGate, send } from "../../../support/tool-call.ts";
import { closeServers, tcpServer, webServer } from "../../../support/web-server.ts";

const directory = mkdtempSync(join(tmpdir(), "hostile-servers-"));
const files = namedFiles({ baseDirectory: directory, environment: {} });
const SHORT_MS = 500;
const MEBIBYTE = 1024 * 1024;

afterEach(closeServers);
afterAll(() => rmSync(directory, { recursive: true }));

function hook(url: string, more: Record<string, unknown> = {}) {
  const config = toolSchema.parse({ kind: "webhook", endpoint: "it" }) as WebhookConfig;
  const resolve = async () => [{ address: "127.0.0.1", family: 4 }];
  return createWebhookTool(config, { endpoints: { it: { url, privateAddress: true, ...more } }, files, resolve });
}

/** Sends again and again until the other side is gone. */
function every(ms: number, step: (count: number) => boolean): void {
  let count = 0;
  const timer = setInterval(() => {
    if (!step(count++)) clearInterval(timer);
  }, ms);
}

describe("a server that means no good", () => {
  it("never answers: what became of the request is unknown", async () => {
    const server = await webServer(() => {});
    expect(await send(hook(`http://127.0.0.1:${server.port}/`), { timeoutMs: SHORT_MS })).toEqual({
      kind: "unknown",
      reason: "timeout",
    });
    expect(server.requests).toHaveLength(1);
    await until("the end of the connection", () => server.openSockets() === 0);
  });

  it("drips its head byte by byte: the time for the whole try counts, and no pause", async () => {
    const head = "HTTP/1.1 200 OK\r\nX-Long: ";
    const server = await tcpServer((socket) =>
      every(5, (count) => socket.write(head[count] ?? "x") || !socket.destroyed),
    );
    const sent = await send(hook(`http://127.0.0.1:${server.port}/`), { timeoutMs: SHORT_MS });
    expect(sent).toEqual({ kind: "unknown", reason: "timeout" });
    await until("the end of the connection", () => server.openSockets() === 0);
  });

  it("drips its body byte by byte: it said yes, and that counts", async () => {
    const server = await webServer((_, response) => {
      response.writeHead(200);
      every(5, () => response.write("x") || !response.destroyed);
    });
    const sent = await send(hook(`http://127.0.0.1:${server.port}/`), { timeoutMs: SHORT_MS });
    expect(sent).toEqual({ kind: "acknowledged", detail: { status: 200 } });
    await until("the end of the connection", () => server.openSockets() === 0);
  });

  it("sends a gigabyte: little of it is read", async () => {
    const chunk = Buffer.alloc(MEBIBYTE);
    let written = 0;
    const server = await webServer((_, response) => {
      response.writeHead(200, { "Content-Length": 1024 * MEBIBYTE });
      const more = (): void => {
        while (!response.destroyed && written < 1024 && response.write(chunk)) written += 1;
        written += 1;
        response.once("drain", more);
      };
      more();
    });
    expect(await send(hook(`http://127.0.0.1:${server.port}/`))).toEqual({
      kind: "acknowledged",
      detail: { status: 200 },
    });
    await until("the end of the connection", () => server.openSockets() === 0);
    expect(written).toBeLessThan(64);
  });

  it("says no and goes on without an end: the no counts", async () => {
    const server = await webServer((_, response) => {
      response.writeHead(500);
      every(1, () => response.write("x".repeat(65_536)) || !response.destroyed);
    });
    expect(await send(hook(`http://127.0.0.1:${server.port}/`))).toMatchObject({ left: true, reason: "status 500" });
  });

  it("resets the connection after the request: unknown", async () => {
    const server = await tcpServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
    const sent = await send(hook(`http://127.0.0.1:${server.port}/`));
    expect(sent).toEqual({ kind: "unknown", reason: "the connection was reset" });
    expect(server.text()).toContain("POST / HTTP/1.1");
  });

  it("hangs up after the request: unknown", async () => {
    const server = await tcpServer((socket) => socket.once("data", () => socket.end()));
    expect(await send(hook(`http://127.0.0.1:${server.port}/`))).toMatchObject({ kind: "unknown" });
  });

  it("breaks off within its body: it said yes, and that counts", async () => {
    const text = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    const server = await tcpServer((socket) => socket.once("data", () => socket.end(text)));
    expect(await send(hook(`http://127.0.0.1:${server.port}/`))).toMatchObject({ kind: "acknowledged" });
  });

  it.each([
    ["what is no HTTP", "220 mail.example ESMTP\r\n"],
    ["bytes without sense", "\0\x01\x02\x03\xff\xfe".repeat(100)],
    ["a head of a megabyte", `HTTP/1.1 200 OK\r\nX-Long: ${"x".repeat(MEBIBYTE)}\r\n\r\n`],
    ["a head of ten thousand lines", `HTTP/1.1 200 OK\r\n${"X-Line: x\r\n".repeat(10_000)}\r\n`],
    ["another protocol instead", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"],
    ["a status that is none", "HTTP/1.1 999999 What\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"],
  ])("answers %s: unknown", async (_, text) => {
    const server = await tcpServer((socket) => socket.once("data", () => socket.write(text, "latin1")));
    expect(await send(hook(`http://127.0.0.1:${server.port}/`))).toMatchObject({ kind: "unknown" });
    await until("the end of the connection", () => server.openSockets() === 0);
  });

  it("says for ever that it is about to answer: the time counts", async () => {
    const server = await tcpServer((socket) =>
      socket.once("data", () => every(1, () => socket.write("HTTP/1.1 102 Processing\r\n\r\n") || !socket.destroyed)),
    );
    const sent = await send(hook(`http://127.0.0.1:${server.port}/`), { timeoutMs: SHORT_MS });
    expect(sent).toEqual({ kind: "unknown", reason: "timeout" });
  });

  it("has a hundred headers: that is much, and no harm", async () => {
    const lines = Array.from({ length: 100 }, (_, index) => [`X-Header-${index}`, "value"] as const);
    const server = await webServer((_, response) => response.writeHead(200, Object.fromEntries(lines)).end());
    expect(await send(hook(`http://127.0.0.1:${server.port}/`))).toMatchObject({ kind: "acknowledged" });
  });

  it("takes the connection and never reads: the time counts", async () => {
    const server = await tcpServer((socket) => socket.pause());
    const sent = await send(hook(`http://127.0.0.1:${server.port}/`), { timeoutMs: SHORT_MS });
    expect(sent).toEqual({ kind: "unknown", reason: "timeout" });
  });
});

describe("a server whose certificate is not right", () => {
  const read = (name: string): Buffer => readFileSync(join(directory, name));
  const { authority, certificate } = certificatesIn(directory);
  const names = "subjectAltName=DNS:hook.example,IP:127.0.0.1";

  beforeAll(() => {
    authority("plant-ca");
    authority("other-ca");
    certificate("right", "plant-ca", names);
    certificate("elsewhere", "plant-ca", "subjectAltName=DNS:other.example");
    certificate("expired", "plant-ca", names, "20200101000000Z", "20200102000000Z");
    certificate("early", "plant-ca", names, "20900101000000Z", "20900102000000Z");
    certificate("stranger", "other-ca", names);
  });

  const secured = (name: string, more: Record<string, unknown> = {}) =>
    webServer((_, response) => response.end(), { key: read(`${name}.key`), cert: read(`${name}.pem`), ...more });

  it.each(["hook.example", "127.0.0.1"])("is called at %s when it is right", async (host) => {
    const server = await secured("right");
    const sent = await send(hook(`https://${host}:${server.port}/`, { caFile: "plant-ca.pem" }));
    expect(sent).toEqual({ kind: "acknowledged", detail: { status: 200 } });
    await until("the end of the connection", () => server.openSockets() === 0);
  });

  it.each([
    ["is for another name", "elsewhere", "plant-ca.pem", "its certificate is for another name"],
    ["has expired", "expired", "plant-ca.pem", "its certificate has expired"],
    ["is not valid yet", "early", "plant-ca.pem", "its certificate is not valid yet: is this machine's clock right?"],
    ["is of another CA", "stranger", "plant-ca.pem", expect.stringContaining("name its CA as caFile")],
    ["is of a CA that nobody named", "right", undefined, expect.stringContaining("name its CA as caFile")],
  ])("is not called when it %s", async (_, name, caFile, reason) => {
    const server = await secured(name);
    const gate = countingGate();
    const endpoint = caFile === undefined ? {} : { caFile };
    const sent = await send(hook(`https://hook.example:${server.port}/`, endpoint), {}, gate);
    expect(sent).toEqual({ kind: "failed", left: false, permanent: true, reason });
    expect(gate.asked).toBe(0);
    expect(server.requests).toHaveLength(0);
  });

  it("is not called where it speaks no TLS, an old one, or hangs up", async () => {
    const plain = await webServer((_, response) => response.end());
    const old = await secured("right", { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
    const gone = await tcpServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
    const gate = countingGate();
    for (const { port } of [plain, old, gone]) {
      const sent = await send(hook(`https://hook.example:${port}/`, { caFile: "plant-ca.pem" }), {}, gate);
      expect(sent).toMatchObject({ kind: "failed", left: false });
    }
    expect(gate.asked).toBe(0);
    expect(plain.requests.length + old.requests.length).toBe(0);
  });

  it("never finishes its handshake: nothing left", async () => {
    const silent = await tcpServer(() => {});
    const sent = await send(hook(`https://hook.example:${silent.port}/`), { timeoutMs: SHORT_MS });
    expect(sent).toEqual({ kind: "failed", left: false, permanent: false, reason: "timeout" });
    await until("the end of the connection", () => silent.openSockets() === 0);
  });

  it("is broken off when it does not answer over TLS, and the connection is gone", async () => {
    const server = await webServer(() => {}, { key: read("right.key"), cert: read("right.pem") });
    const sent = await send(hook(`https://hook.example:${server.port}/`, { caFile: "plant-ca.pem" }), {
      timeoutMs: 500,
    });
    expect(sent).toEqual({ kind: "unknown", reason: "timeout" });
    await until("the end of the connection", () => server.openSockets() === 0);
  });
});
