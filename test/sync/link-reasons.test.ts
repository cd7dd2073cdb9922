import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { becomes } from "../../scripts/trial/claims.ts";
import { connackCodes, disconnectCodes, knownReasons } from "../../sync/reasons.ts";
import { CAPPED, QUICK, watchedLink } from "../support/link.ts";
import { type Script, wireBroker } from "../support/wire-broker.ts";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

const NOW = 1_795_843_906_910;
const hexOf = (code: number): string => `0x${code.toString(16).padStart(2, "0")}`;
const page = readFileSync(new URL("../../docs/link.md", import.meta.url), "utf8");

/** What a link does after one connection to a broker that does this. */
async function seen(script: Script) {
  const server = await wireBroker(() => script);
  open.push(server.close);
  // The second of the list is where the broker sends us; the third is what comes in turn after a wrong start.
  const brokers = [server.url, "mqtt://127.0.0.1:3", "mqtt://127.0.0.1:4"];
  const clock = { wallMs: () => NOW, bootMs: () => 0 };
  const made = watchedLink(brokers, { backoff: CAPPED }, { clock, random: () => 0.5 });
  open.push(() => made.link.stop());
  await made.link.start();
  expect(await becomes(() => made.link.state().reason !== undefined, 60_000)).toBe(true);
  const { state, reason, broker, nextAttemptAtMs = 0, identityConflict } = made.link.state();
  return {
    ...{ state, reason, identityConflict, waitMs: nextAttemptAtMs - NOW, at: brokers.indexOf(broker) },
    ...{ ups: made.sessions.length, downs: made.downs(), conflicts: made.conflicts() },
  };
}

/** As the page has it: derived from what was seen, not from the table that the link acts by. */
function inWords({ waitMs, identityConflict }: { waitMs: number; identityConflict: boolean }): string {
  if (identityConflict) return `tries again after ${(waitMs - 30_000) / 1000} s or more`;
  return `tries again, at most ${(waitMs * 2) / 60_000} min apart`;
}

describe("a broker's reason", () => {
  test("is in the table for each that MQTT 5 has", () => {
    expect(connackCodes).toHaveLength(21);
    expect(disconnectCodes).toHaveLength(28);
    const both = new Set([...connackCodes, ...disconnectCodes]);
    expect([...both].sort((a, b) => a - b)).toEqual(Object.keys(knownReasons).map(Number));
  });

  test.each(connackCodes.map((code) => [hexOf(code), code] as const))(
    "%s in a CONNACK does what the page says",
    async (hex, code) => {
      const what = await seen({ connack: code });
      expect(what).toMatchObject({ state: "waiting", ups: 0, downs: 0 });
      expect(what.reason).toMatchObject({ code: hex, name: knownReasons[code]?.name });
      const row = page.split("\n").find((line) => line.startsWith(`| ${hex} |`)) ?? "";
      expect(row).toContain(`| ${inWords(what)}`);
      expect(row).toContain(`| ${what.reason?.words} |`);
      expect(row).toMatch(/\| (CONNACK|both) \|/);
    },
  );

  test.each(disconnectCodes.map((code) => [hexOf(code), code] as const))(
    "%s in a DISCONNECT does what the page says",
    async (hex, code) => {
      const what = await seen({ disconnect: code });
      expect(what).toMatchObject({ state: "waiting", ups: 1, downs: 1 });
      expect(what.reason).toMatchObject({ code: hex, name: knownReasons[code]?.name });
      expect([what.identityConflict, what.conflicts]).toEqual(code === 0x8e ? [true, 1] : [false, 0]);
      const row = page.split("\n").find((line) => line.startsWith(`| ${hex} |`)) ?? "";
      expect(row).toContain(`| ${inWords(what)}`);
      expect(row).toMatch(/\| (DISCONNECT|both) \|/);
    },
  );

  test.each([...connackCodes, ...disconnectCodes].map((code) => [hexOf(code), code] as const))(
    "%s sends us to the server that it names only where the page says so",
    async (hex, code) => {
      const isConnack = connackCodes.includes(code);
      const serverReference = "127.0.0.1:4";
      const what = await seen(isConnack ? { connack: code, serverReference } : { disconnect: code, serverReference });
      const row = page.split("\n").find((line) => line.startsWith(`| ${hex} |`)) ?? "";
      expect(what.at).toBe(row.includes("the broker that is named") ? 2 : 1);
    },
  );

  test("that MQTT 5 does not have is told with its number", async () => {
    expect((await seen({ connack: 0xf1 })).reason).toMatchObject({ code: "0xf1", name: "Unknown reason" });
  });

  test("is told with the broker's own words", async () => {
    const { reason } = await seen({ disconnect: 0x98, reasonString: "maintenance until noon" });
    expect(reason?.words).toBe("somebody ended the connection at the broker: maintenance until noon");
  });

  test.each([
    [1, "0x84"],
    [2, "0x85"],
    [3, "0x88"],
    [4, "0x86"],
    [5, "0x87"],
  ])("of a broker of before MQTT 5, %d, is understood as %s", async (code, hex) => {
    expect((await seen({ raw: [0x20, 2, 0, code] })).reason).toMatchObject({ code: hex });
  });

  test("never ends the trying: each code again and again, then a broker that takes us", async () => {
    const scripts: Script[] = [
      ...connackCodes.map((connack) => ({ connack })),
      ...disconnectCodes.map((disconnect) => ({ disconnect })),
      { hangUp: true },
      { raw: [0xff, 0xff, 0xff] },
    ];
    const server = await wireBroker((connection) => scripts[connection] ?? { take: "well" });
    open.push(server.close);
    const made = watchedLink([server.url], { backoff: QUICK });
    open.push(() => made.link.stop());
    await made.link.start();
    expect(
      await becomes(() => made.link.state().state === "connected" && server.connects() > scripts.length, 60_000),
    ).toBe(true);
    expect(made.downs()).toBe(made.sessions.length - 1);
    expect(new Set(made.sessions).size).toBe(made.sessions.length);
    expect(server.open()).toBe(1);
  });
});
