import { fstatSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { gatewaySchema } from "../../../../config/gateway.ts";
import { toolSchema } from "../../../../config/tools.ts";
import { createHandoffTool, type HandoffConfig } from "../../../../daemon/act/tools/handoff.ts";
import { createNotifyTool, type NotifyConfig } from "../../../../daemon/act/tools/notify.ts";
import { createJournalLog } from "../../../../daemon/log.ts";
import { recordingLog } from "../../../support/bus.ts";
import { aCall, countingGate, send } from "../../../support/tool-call.ts";
import { closeServers, webServer } from "../../../support/web-server.ts";

afterEach(closeServers);

const files = {
  secret: () => "token",
  text: () => "",
};

function notify(config: Record<string, unknown> = {}, endpoints: Record<string, unknown> = {}) {
  const log = recordingLog();
  const journal = recordingLog();
  const gateway = gatewaySchema.parse({ people: { maria: { roles: ["operator"] } }, endpoints });
  const parsed = toolSchema.parse({ kind: "notify", ...config }) as NotifyConfig;
  return { log, journal, tool: createNotifyTool(parsed, { gateway, deviceName: "plant-7", log, journal, files }) };
}

const TEXT = { text: 'pump "p1"\nis hot' };

describe("a notification", () => {
  it("is a line of the log", async () => {
    const { log, journal, tool } = notify({ to: ["maria", "jo"] });
    expect(await send(tool, { arguments: TEXT })).toEqual({ kind: "acknowledged" });
    const fields = { part: "notify", tool: "stop-pump", agent: "pump-guard", key: "p1", to: "maria, jo", ...TEXT };
    expect(log.lines).toEqual([{ level: "warn", fields, text: "notification" }]);
    expect(journal.lines).toEqual([]);
  });

  it("is a warning of the journal where the line goes there", async () => {
    const { log, journal, tool } = notify({ via: "journal" });
    await send(tool, { arguments: TEXT });
    expect(log.lines).toEqual([]);
    expect(journal.lines).toHaveLength(1);
  });

  it("says what happened when nobody gave it words, and nothing of what is private", async () => {
    const { log, tool } = notify();
    await send(tool);
    await send(tool, { arguments: TEXT, private: ["text"] });
    expect(log.lines.map(({ fields }) => fields["text"])).toEqual(["hot of pump-guard, about p1", "(private)"]);
  });

  it("is not written when the gate says no", async () => {
    const { log, tool } = notify();
    expect(await send(tool, {}, () => false)).toEqual({ kind: "failed", left: false, reason: "stopped" });
    expect(await tool.send(aCall(), () => true, AbortSignal.abort())).toMatchObject({ reason: "stopped" });
    expect(log.lines).toEqual([]);
  });

  it("is posted to an endpoint with all that a person wants to know", async () => {
    const server = await webServer((_, response) => response.end());
    const url = `http://127.0.0.1:${server.port}/hook`;
    const hook = { url, privateAddress: true, secretFile: "hook.token" };
    const { tool } = notify({ via: "webhook", endpoint: "hook", to: ["maria"] }, { hook });
    expect(await send(tool, { arguments: TEXT })).toEqual({ kind: "acknowledged", detail: { status: 200 } });
    expect(server.requests[0]?.headers).toMatchObject({ authorization: "Bearer token", "idempotency-key": "key-1" });
    expect(JSON.parse(server.requests[0]?.body ?? "")).toEqual({
      ...TEXT,
      device: "plant-7",
      to: ["maria"],
      agent: "pump-guard",
      key: "p1",
      rule: "hot",
      tool: "stop-pump",
      id: aCall().id,
    });
    const gate = countingGate(false);
    expect(await send(tool, { arguments: TEXT }, gate)).toMatchObject({ left: false, reason: "stopped" });
    expect(server.requests).toHaveLength(1);
  });

  it("does not leave where the gateway's file names no way", async () => {
    expect(await send(notify({ via: "webhook" }).tool)).toMatchObject({ left: false, permanent: true });
    expect(await send(notify({ via: "mail", to: ["maria"] }).tool)).toMatchObject({ left: false, permanent: true });
  });
});

describe("a task for a person", () => {
  it("is handed over and told in the log, unless the gate says no", async () => {
    const log = recordingLog();
    const config = toolSchema.parse({ kind: "handoff", to: ["maria"] }) as HandoffConfig;
    const tool = createHandoffTool(config, { log });
    expect(await send(tool, { arguments: TEXT }, () => false)).toMatchObject({ left: false, reason: "stopped" });
    expect(log.lines).toEqual([]);
    expect(await send(tool, { arguments: TEXT })).toEqual({ kind: "handedOver" });
    expect(log.lines).toMatchObject([{ level: "warn", fields: { to: "maria", ...TEXT } }]);
  });
});

describe("the journal", () => {
  it("gets a priority before the line where standard output leads to it, and only there", () => {
    const lines: string[] = [];
    const out = { write: (line: string) => lines.push(line) };
    const { dev, ino } = fstatSync(1);
    createJournalLog({ JOURNAL_STREAM: `${dev}:${ino}` }, out)?.warn({ part: "notify", text: "a\nb" }, "notification");
    expect(lines).toHaveLength(1);
    const [, rest] = /^<4>(\{.*\}\n)$/.exec(lines[0] ?? "") ?? [];
    expect(JSON.parse(rest ?? "")).toMatchObject({ level: "warn", part: "notify", text: "a\nb", msg: "notification" });
    expect(createJournalLog({}, out)).toBeUndefined();
    expect(createJournalLog({ JOURNAL_STREAM: "1:2" }, out)).toBeUndefined();
  });
});
