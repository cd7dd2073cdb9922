import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { toolSchema } from "../../../../config/tools.ts";
import type { Resolve } from "../../../../daemon/act/tools/dial.ts";
import { retryAfterMs } from "../../../../daemon/act/tools/web.ts";
import { createWebhookTool, type WebhookConfig } from "../../../../daemon/act/tools/webhook.ts";
import { namedFiles } from "../../../../daemon/bus/named-files.ts";
import { until } from "../../../support/bus.ts";
import { aCall, countingGate, send } from "../../../support/tool-call.ts";
import { closeServers, tcpServer, webServer } from "../../../support/web-server.ts";

const directory = mkdtempSync(join(tmpdir(), "webhook-"));
const files = namedFiles({ baseDirectory: directory, environment: {} });

afterEach(closeServers);
afterAll(() => rmSync(directory, { recursive: true }));

/** Words that try to leave the place they are put into. */
const HOSTILE = `"'; $(reboot) \`id\` \r\nX-Evil: 1\r\n\r\n{"cmd":"open"} {pump} ü \u2028 </script>`;

function hook(
  url: string,
  more: Record<string, unknown> = {},
  config: Record<string, unknown> = {},
  resolve?: Resolve,
) {
  const parsed = toolSchema.parse({ kind: "webhook", endpoint: "it", ...config }) as WebhookConfig;
  const endpoint = { url, privateAddress: true, ...more };
  return createWebhookTool(parsed, { endpoints: { it: endpoint }, files, resolve });
}

describe("a webhook", () => {
  it("sends its body filled, with the key, the trace and the secret as it is at that moment", async () => {
    const server = await webServer((_, response) => response.writeHead(202).end());
    writeFileSync(join(directory, "hook.token"), "first\n", { mode: 0o600 });
    const body = { text: "stop {pump}", at: "{limit}", list: ["{pump}", { on: "{on}" }] };
    const tool = hook(`http://127.0.0.1:${server.port}/a/b?c=1`, { secretFile: "hook.token" }, { method: "PUT", body });
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const given = { pump: HOSTILE, limit: 4.5, on: false };
    expect(await send(tool, { arguments: given, trace })).toEqual({ kind: "acknowledged", detail: { status: 202 } });
    const [seen] = server.requests;
    expect(seen).toMatchObject({ method: "PUT", path: "/a/b?c=1" });
    expect(seen?.headers).toMatchObject({
      authorization: "Bearer first",
      "content-type": "application/json",
      "idempotency-key": "key-1",
      traceparent: trace,
      host: `127.0.0.1:${server.port}`,
    });
    expect(seen?.headers["user-agent"]).toMatch(/^holdfast\/\d/);
    expect(seen?.headers).not.toHaveProperty("x-evil");
    expect(JSON.parse(seen?.body ?? "")).toEqual({
      text: `stop ${HOSTILE}`,
      at: 4.5,
      list: [HOSTILE, { on: false }],
    });
    writeFileSync(join(directory, "hook.token"), "second\n", { mode: 0o600 });
    await send(tool, { arguments: given, trace: "no trace\r\nX-Evil: 1" });
    expect(server.requests[1]?.headers.authorization).toBe("Bearer second");
    expect(server.requests[1]?.headers).not.toHaveProperty("traceparent");
  });

  it.each([
    [200, { kind: "acknowledged", detail: { status: 200 } }],
    [204, { kind: "acknowledged", detail: { status: 204 } }],
    [400, { kind: "failed", left: true, permanent: true, reason: "status 400" }],
    [401, { kind: "failed", left: true, permanent: true, reason: "status 401" }],
    [404, { kind: "failed", left: true, permanent: true, reason: "status 404" }],
    [408, { kind: "failed", left: true, permanent: false, reason: "status 408" }],
    [425, { kind: "failed", left: true, permanent: false, reason: "status 425" }],
    [429, { kind: "failed", left: true, permanent: false, reason: "status 429", retryAfterMs: 7000 }],
    [500, { kind: "failed", left: true, permanent: false, reason: "status 500" }],
    [503, { kind: "failed", left: true, permanent: false, reason: "status 503", retryAfterMs: 7000 }],
  ])("understands %i", async (status, expected) => {
    const headers = status === 429 || status === 503 ? { "Retry-After": "7" } : {};
    const server = await webServer((_, response) => response.writeHead(status, headers).end("text"));
    expect(await send(hook(`http://127.0.0.1:${server.port}/`))).toEqual(expected);
  });

  it("holds the time after which to come again against the server's own clock", () => {
    const date = "Sat, 28 Nov 2026 10:00:00 GMT";
    expect(retryAfterMs("Sat, 28 Nov 2026 10:00:30 GMT", date)).toBe(30_000);
    expect(retryAfterMs("Sat, 28 Nov 2026 09:00:00 GMT", date)).toBeUndefined();
    expect(retryAfterMs("Sat, 28 Nov 2026 10:00:30 GMT", undefined)).toBeUndefined();
    expect(retryAfterMs("soon", date)).toBeUndefined();
    expect(retryAfterMs("12", undefined)).toBe(12_000);
    expect(retryAfterMs(undefined, date)).toBeUndefined();
  });

  it("lets nothing leave when the gate says no", async () => {
    const server = await tcpServer(() => {});
    const gate = countingGate(false);
    expect(await send(hook(`http://127.0.0.1:${server.port}/`), {}, gate)).toEqual({
      kind: "failed",
      left: false,
      reason: "stopped",
    });
    expect(gate.asked).toBe(1);
    await until("the end of the connection", () => server.connections() === 1 && server.openSockets() === 0);
    expect(server.text()).toBe("");
  });

  it("asks the gate when the connection stands, and not before", async () => {
    const gate = countingGate();
    expect(await send(hook("http://127.0.0.1:9/"), {}, gate)).toEqual({
      kind: "failed",
      left: false,
      permanent: false,
      reason: "nothing listens there",
    });
    expect(gate.asked).toBe(0);
  });

  it("follows no redirect, wherever it leads", async () => {
    const other = await webServer((_, response) => response.end());
    const inside = `http://127.0.0.1:${other.port}/`;
    for (const status of [301, 302, 303, 307, 308]) {
      const server = await webServer((_, response) => response.writeHead(status, { Location: inside }).end());
      const sent = await send(hook(`http://127.0.0.1:${server.port}/`), {});
      expect(sent).toEqual({ kind: "failed", left: true, permanent: true, reason: "redirected to another host" });
      expect(server.requests).toHaveLength(1);
    }
    const same = await webServer((_, response) => response.writeHead(308, { Location: "/elsewhere" }).end());
    expect(await send(hook(`http://127.0.0.1:${same.port}/`))).toMatchObject({ left: true, reason: "redirected" });
    expect(same.requests).toHaveLength(1);
    expect(other.connections()).toBe(0);
  });

  it("reads the token that there is, and sends none that is more than a word", async () => {
    const server = await webServer((_, response) => response.end());
    const at = `http://127.0.0.1:${server.port}/`;
    expect(await send(hook(at, { secretFile: "missing.token" }))).toMatchObject({ left: false, permanent: false });
    writeFileSync(join(directory, "two.token"), "a\r\nX-Evil: 1", { mode: 0o600 });
    const sent = await send(hook(at, { secretFile: "two.token" }));
    expect(sent).toMatchObject({ kind: "failed", left: false });
    expect(JSON.stringify(sent)).not.toContain("Evil");
    writeFileSync(join(directory, "open.token"), "secret", { mode: 0o644 });
    expect(await send(hook(at, { secretFile: "open.token" }))).toMatchObject({ kind: "failed", left: false });
    expect(server.connections()).toBe(0);
  });

  it("sends no body above one mebibyte, and one below it whole", async () => {
    const server = await webServer((_, response) => response.end());
    const tool = hook(`http://127.0.0.1:${server.port}/`, {}, { body: { text: "{text}" } });
    expect(await send(tool, { arguments: { text: "x".repeat(1024 * 1024) } })).toMatchObject({ left: false });
    expect(server.requests).toHaveLength(0);
    expect(await send(tool, { arguments: { text: "x".repeat(1_000_000) } })).toMatchObject({ kind: "acknowledged" });
    expect(server.requests[0]?.body).toHaveLength(1_000_011);
  });

  it("says what an argument is missing, and sends nothing", async () => {
    const tool = hook("http://127.0.0.1:9/", {}, { body: { text: "{text}" } });
    expect(await send(tool)).toMatchObject({ left: false, permanent: true, reason: 'there is no argument "text"' });
  });
});

describe("a webhook whose address is not to be called", () => {
  const PRIVATE = { kind: "failed", left: false, permanent: true, reason: expect.stringContaining("privateAddress") };

  it.each([
    "127.0.0.1",
    "127.1",
    "0x7f.1",
    "2130706433",
    "0",
    "0.0.0.0",
    "017700000001",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "localhost",
  ])("refuses http://%s before anything is sent there", async (host) => {
    const server = await webServer((_, response) => response.end());
    const gate = countingGate();
    expect(await send(hook(`http://${host}:${server.port}/`, { privateAddress: false }), {}, gate)).toEqual(PRIVATE);
    expect(gate.asked).toBe(0);
    expect(server.connections()).toBe(0);
  });

  it("refuses a name that leads to this machine, also with others beside it, and looks it up once only", async () => {
    const server = await webServer((_, response) => response.end());
    let looked = 0;
    const resolve: Resolve = async () => {
      looked += 1;
      return [
        { address: "198.51.101.7", family: 4 },
        { address: "127.0.0.1", family: 4 },
      ];
    };
    const tool = hook(`http://hook.example:${server.port}/`, { privateAddress: false }, {}, resolve);
    expect(await send(tool)).toEqual(PRIVATE);
    expect(looked).toBe(1);
    expect(server.connections()).toBe(0);
  });

  it("connects to the very address that was looked up, and to no other one", async () => {
    const server = await webServer((_, response) => response.end());
    const answers = ["127.0.0.1", "127.0.0.2"];
    const resolve: Resolve = async () => [{ address: answers.shift() ?? "", family: 4 }];
    const tool = hook(`http://hook.example:${server.port}/`, {}, {}, resolve);
    expect(await send(tool)).toMatchObject({ kind: "acknowledged" });
    expect(answers).toEqual(["127.0.0.2"]);
    expect(server.requests[0]?.headers.host).toBe(`hook.example:${server.port}`);
  });

  it("says so when a name is not known", async () => {
    const resolve: Resolve = async () => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }));
    expect(await send(hook("http://hook.example/", {}, {}, resolve))).toEqual({
      kind: "failed",
      left: false,
      permanent: false,
      reason: "its name is not known",
    });
    expect(await send(hook("http://hook.example/", {}, {}, async () => []))).toMatchObject({ left: false });
  });

  it("does not wait for a name server longer than it may", async () => {
    const resolve: Resolve = () => new Promise(() => {});
    const tool = hook("http://hook.example/", {}, {}, resolve);
    expect(await send(tool, { timeoutMs: 50 })).toEqual({
      kind: "failed",
      left: false,
      permanent: false,
      reason: "timeout",
    });
  });
});

describe("a webhook that is broken off", () => {
  it("has sent nothing when that was before its beginning", async () => {
    const server = await webServer((_, response) => response.end());
    const gate = countingGate();
    const tool = hook(`http://127.0.0.1:${server.port}/`);
    expect(await tool.send(aCall(), gate, AbortSignal.abort())).toMatchObject({ left: false, reason: "stopped" });
    expect(gate.asked).toBe(0);
    expect(server.connections()).toBe(0);
  });

  it("is unknown when the request was on its way, and what of it was not sent is thrown away", async () => {
    const sockets: Socket[] = [];
    const server = await tcpServer((socket) => sockets.push(socket.pause()));
    const stop = new AbortController();
    const gate = countingGate();
    const tool = hook(`http://127.0.0.1:${server.port}/`, {}, { body: { text: "{text}" } });
    const text = "x".repeat(1_000_000);
    const sent = tool.send(aCall({ arguments: { text } }), gate, stop.signal);
    await until("the request", () => gate.asked === 1);
    stop.abort();
    expect(await sent).toEqual({ kind: "unknown", reason: "stopped" });
    for (const socket of sockets) socket.resume();
    await until("the end of the connection", () => server.openSockets() === 0);
    expect(server.text().length).toBeLessThan(text.length);
  });
});
