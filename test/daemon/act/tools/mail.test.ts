import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { gatewaySchema } from "../../../../config/gateway.ts";
import { toolSchema } from "../../../../config/tools.ts";
import { createNotifyTool, type NotifyConfig } from "../../../../daemon/act/tools/notify.ts";
import { namedFiles } from "../../../../daemon/bus/named-files.ts";
import { certificatesIn } from "../../../../scripts/fleet/certificates.ts";
import { recordingLog, until } from "../../../support/bus.ts";
import { aCall, countingGate, send } from "../../../support/tool-call.ts";
import { closeServers, tcpServer } from "../../../support/web-server.ts";

const directory = mkdtempSync(join(tmpdir(), "mail-"));
const files = namedFiles({ baseDirectory: directory, environment: {} });
const { authority, certificate } = certificatesIn(directory);
const read = (name: string): Buffer => readFileSync(join(directory, name));

interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly secure: boolean;
  readonly user: string | undefined;
  readonly text: string;
}

const servers: SMTPServer[] = [];

/** A mail server that keeps what it gets. */
async function mailServer(options: SMTPServerOptions = {}) {
  const received: Received[] = [];
  const errors: Error[] = [];
  const server = new SMTPServer({
    authOptional: true,
    onAuth: ({ username, password }, _, done) =>
      password === "canary-pw" ? done(null, { user: username }) : done(new Error("wrong password")),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? "" : mailFrom.address;
        const to = rcptTo.map(({ address }) => address);
        received.push({ from, to, secure: session.secure, user: session.user, text: Buffer.concat(chunks).toString() });
        done();
      });
    },
    ...(options.key === undefined ? { key: read("right.key"), cert: read("right.pem") } : {}),
    ...options,
  });
  server.on("error", (error) => errors.push(error));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { received, port: (server.server.address() as AddressInfo).port };
}

const people = {
  maria: { roles: ["operator"], mail: "maria@plant.example" },
  jo: { roles: ["operator"], mail: "jo@plant.example" },
  ann: { roles: ["operator"] },
};

function mailTool(port: number, mail: Record<string, unknown> = {}, tool: Record<string, unknown> = {}) {
  const gateway = gatewaySchema.parse({
    people,
    mail: { host: "127.0.0.1", port, from: "holdfast@plant.example", caFile: "plant-ca.pem", ...mail },
  });
  const config = toolSchema.parse({ kind: "notify", via: "mail", to: ["maria"], ...tool }) as NotifyConfig;
  return createNotifyTool(config, { gateway, deviceName: "plant-7", log: recordingLog(), files });
}

const TEXT = { text: "pump p1 is hot" };

/** The head of a mail, unfolded, one header a line. */
const headersOf = (text: string): string[] =>
  (text.split("\r\n\r\n", 1)[0] ?? "").replaceAll(/\r\n[ \t]+/g, " ").split("\r\n");

beforeAll(() => {
  authority("plant-ca");
  certificate("right", "plant-ca", "subjectAltName=IP:127.0.0.1");
  certificate("elsewhere", "plant-ca", "subjectAltName=DNS:other.example");
  writeFileSync(join(directory, "right.password"), "canary-pw\n", { mode: 0o600 });
  writeFileSync(join(directory, "wrong.password"), "wrong\n", { mode: 0o600 });
});

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise<void>((resolve) => server.close(resolve));
  await closeServers();
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("a mail", () => {
  it.each([
    ["STARTTLS", "starttls", {}],
    ["TLS from the beginning", "tls", { secure: true }],
  ])("goes by %s, logged in, to those who are named", async (_, security, options) => {
    const server = await mailServer({ ...options, authOptional: false });
    const login = { security, username: "holdfast", passwordFile: "right.password" };
    const tool = mailTool(server.port, login, { to: ["maria", "jo", "ann"] });
    expect(await send(tool, { arguments: TEXT })).toEqual({
      kind: "acknowledged",
      detail: { accepted: 2, refused: 0 },
    });
    const [mail] = server.received;
    expect(mail).toMatchObject({
      from: "holdfast@plant.example",
      to: ["maria@plant.example", "jo@plant.example"],
      secure: true,
      user: "holdfast",
    });
    const headers = headersOf(mail?.text ?? "");
    expect(headers).toContain("Subject: Holdfast plant-7: stop-pump");
    expect(headers).toContain("Auto-Submitted: auto-generated");
    expect(mail?.text).toMatch(/\r\n\r\npump p1 is hot\r\n$/);
  });

  it("carries the same id when it is sent again, and another one for another action", async () => {
    const server = await mailServer();
    const tool = mailTool(server.port);
    await send(tool, { arguments: TEXT });
    await send(tool, { arguments: TEXT, attempt: 2 });
    await send(tool, { arguments: TEXT, idempotencyKey: "key-2\r\nX: y" });
    const ids = server.received.map(({ text }) => headersOf(text).find((line) => line.startsWith("Message-ID:")));
    expect(ids[0]).toMatch(/^Message-ID: <[0-9a-f]{32}@plant\.example>$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  it("has no more headers and readers than it should, whatever its words are", async () => {
    const server = await mailServer();
    const hostile = "hot\r\nBcc: evil@example.com\r\n\r\nEvil: 1\n\u2028X: y\0";
    const given = { subject: hostile, text: `${hostile}\r\n.\r\nMAIL FROM:<evil@example.com>\r\n` };
    expect(await send(mailTool(server.port), { arguments: given })).toMatchObject({ kind: "acknowledged" });
    expect(server.received).toHaveLength(1);
    const [mail] = server.received;
    expect(mail?.to).toEqual(["maria@plant.example"]);
    const names = headersOf(mail?.text ?? "").map((line) => line.split(":", 1)[0]);
    expect(names).not.toContain("Bcc");
    expect(names).not.toContain("X");
    expect(names.sort()).toEqual(
      ["From", "To", "Subject", "Message-ID", "Auto-Submitted", "Content-Type", "Date", "MIME-Version"]
        .concat(names.includes("Content-Transfer-Encoding") ? ["Content-Transfer-Encoding"] : [])
        .sort(),
    );
  });

  it("says nothing of what is private", async () => {
    const server = await mailServer();
    const given = { text: "canary-17", subject: "canary-18" };
    await send(mailTool(server.port), { arguments: given, private: ["text", "subject"] });
    expect(server.received[0]?.text).not.toContain("canary");
    expect(server.received[0]?.text).toContain("(private)");
  });

  it("does not leave when the gate says no: the server hears of no sender", async () => {
    const server = await tcpServer((socket) => {
      socket.write("220 it ESMTP\r\n");
      socket.on("data", () => socket.write("250 it\r\n"));
    });
    const gate = countingGate(false);
    const tool = mailTool(server.port, { security: "none" });
    expect(await send(tool, { arguments: TEXT }, gate)).toEqual({ kind: "failed", left: false, reason: "stopped" });
    expect(gate.asked).toBe(1);
    expect(server.text()).toMatch(/^EHLO .*\r\n/);
    expect(server.text()).not.toContain("MAIL");
  });

  it.each([
    ["offers no TLS", { hideSTARTTLS: true, disabledCommands: ["STARTTLS"] }, {}],
    ["has a certificate for another name", { key: "elsewhere.key", cert: "elsewhere.pem" }, {}],
    ["has a certificate of an unknown CA", {}, { caFile: undefined }],
    ["does not take the password", {}, { username: "holdfast", passwordFile: "wrong.password" }],
    ["is to get a password that is not there", {}, { username: "holdfast", passwordFile: "no.password" }],
  ])("is not sent by a server that %s", async (_, options, mail) => {
    const { key, cert, ...rest } = options as { key?: string; cert?: string };
    const own = key === undefined || cert === undefined ? {} : { key: read(key), cert: read(cert) };
    const server = await mailServer({ ...rest, ...own });
    const gate = countingGate();
    const sent = await send(mailTool(server.port, mail), { arguments: TEXT }, gate);
    expect(sent).toMatchObject({ kind: "failed", left: false });
    expect(gate.asked).toBe(0);
    expect(JSON.stringify(sent)).not.toContain("canary");
    expect(server.received).toHaveLength(0);
  });

  it.each([
    [550, true],
    [450, false],
  ])("is refused with %i: what is permanent is told from what passes", async (responseCode, permanent) => {
    const error = Object.assign(new Error("no such reader"), { responseCode });
    const server = await mailServer({ onRcptTo: (_address, _session, done) => done(error) });
    expect(await send(mailTool(server.port), { arguments: TEXT })).toEqual({
      kind: "failed",
      left: true,
      permanent,
      reason: `${responseCode} no such reader`,
    });
  });

  it("reaches some, and says how many", async () => {
    const server = await mailServer({
      onRcptTo: ({ address }, _, done) => done(address.startsWith("jo") ? new Error("no") : null),
    });
    const tool = mailTool(server.port, {}, { to: ["maria", "jo"] });
    expect(await send(tool, { arguments: TEXT })).toEqual({
      kind: "acknowledged",
      detail: { accepted: 1, refused: 1 },
    });
  });

  it("goes unprotected to this machine alone", async () => {
    const server = await mailServer();
    const none = { security: "none" };
    expect(await send(mailTool(server.port, none), { arguments: TEXT })).toMatchObject({ kind: "acknowledged" });
    expect(server.received[0]?.secure).toBe(false);
    const elsewhere = mailTool(server.port, { ...none, host: "192.0.2.1" });
    expect(await send(elsewhere, { arguments: TEXT })).toMatchObject({ left: false, permanent: true });
  });

  it("is for nobody when nobody has an address", async () => {
    const tool = mailTool(9, {}, { to: ["ann"] });
    expect(await send(tool, { arguments: TEXT })).toMatchObject({ left: false, permanent: true });
  });
});

describe("a mail server that means no good", () => {
  const DIALOGUE = ["250 it\r\n", "250 sender\r\n", "250 reader\r\n", "354 go on\r\n"];

  /** Answers as a mail server does, for so many commands, and then does something else. */
  const upTo = (count: number, then: (socket: import("node:net").Socket) => void) =>
    tcpServer((socket) => {
      let at = 0;
      socket.write("220 it ESMTP\r\n");
      socket.on("data", () => {
        if (at < count) socket.write(DIALOGUE[at] ?? "");
        else if (at === count) then(socket);
        at += 1;
      });
    });

  it.each([
    ["at the greeting", 0, { kind: "failed", left: false, permanent: false, reason: "timeout" }],
    ["at the sender", 1, { kind: "failed", left: false, permanent: false, reason: "timeout" }],
    ["before the text", 3, { kind: "failed", left: false, permanent: false, reason: "timeout" }],
    ["after the text", 4, { kind: "unknown", reason: "timeout" }],
  ])("falls silent %s", async (_, count, expected) => {
    const server = await upTo(count, () => {});
    const tool = mailTool(server.port, { security: "none" });
    expect(await send(tool, { arguments: TEXT, timeoutMs: 1000 })).toEqual(expected);
    await until("the end of the connection", () => server.openSockets() === 0);
  });

  it.each([
    ["at the sender", 1, { kind: "failed", left: false }],
    ["before the text", 3, { kind: "failed", left: false }],
    ["after the text", 4, { kind: "unknown" }],
  ])("hangs up %s", async (_, count, expected) => {
    const server = await upTo(count, (socket) => socket.destroy());
    expect(await send(mailTool(server.port, { security: "none" }), { arguments: TEXT })).toMatchObject(expected);
  });

  it("says what nobody asked after the text: unknown, whatever it says", async () => {
    const server = await upTo(4, (socket) => socket.write("nonsense\r\n"));
    expect(await send(mailTool(server.port, { security: "none" }), { arguments: TEXT })).toMatchObject({
      kind: "unknown",
    });
  });

  it("is left when people say stop", async () => {
    const server = await upTo(4, () => {});
    const stop = new AbortController();
    const sent = mailTool(server.port, { security: "none" }).send(aCall({ arguments: TEXT }), () => true, stop.signal);
    await until("the text", () => server.text().includes("pump p1 is hot"));
    stop.abort();
    expect(await sent).toEqual({ kind: "unknown", reason: "stopped" });
    await until("the end of the connection", () => server.openSockets() === 0);
  });

  it("drips: the time for the whole try counts", async () => {
    const server = await tcpServer((socket) => {
      const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write("2")), 5);
    });
    const sent = await send(mailTool(server.port, { security: "none" }), { arguments: TEXT, timeoutMs: 200 });
    expect(sent).toMatchObject({ kind: "failed", left: false, reason: "timeout" });
  });
});
