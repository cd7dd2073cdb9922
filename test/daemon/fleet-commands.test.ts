import { generateKeyPairSync, type KeyObject, randomUUID, verify } from "node:crypto";
import { expect, test } from "vitest";
import type { Verb } from "../../daemon/api/control-server.ts";
import { Commands } from "../../daemon/fleet/commands.ts";
import type { Person } from "../../daemon/people.ts";
import { StoreError } from "../../daemon/store/errors.ts";
import type { ControlState } from "../../daemon/store/messages.ts";
import { keyId, signedText, signerOf } from "../../sync/signing.ts";

const NOW = 1_795_843_906_000;
const fleet = generateKeyPairSync("ed25519");
const maria = generateKeyPairSync("ed25519");
const eve = generateKeyPairSync("ed25519");

interface Told {
  readonly what: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

function controlState(inbox: readonly string[]): ControlState {
  return { generations: [], pointer: undefined, modes: {}, meta: {}, inbox: [...inbox] };
}

/** A gateway that hears commands; `inbox` outlives a restart. */
function gateway(inbox: string[] = [], disk: { isFull: boolean; hangs?: boolean } = { isFull: false }) {
  const done: [string, string, Record<string, unknown>][] = [];
  const told: Told[] = [];
  const bootMs = { value: 0 };
  const verbsFor = (person: Person): Record<string, Verb> =>
    Object.fromEntries(
      ["stop", "mode", "release", "logLevel"].map((verb) => [
        verb,
        (given) => {
          if (given["fail"] === true) throw new Error("the pump is not there");
          done.push([person.name, verb, given]);
        },
      ]),
    );
  const commands = new Commands(
    {
      control: {
        state: async () => controlState(inbox),
        change: async (change) => {
          if (disk.isFull) throw new StoreError("STORE_UNUSABLE");
          if (disk.hangs === true) await new Promise(() => undefined);
          if (change.kind === "inbox") inbox.push(change.id);
          return controlState(inbox);
        },
      },
      people: {
        bySignature: (name, bytes, signature) => {
          const isHers = name === "maria" && verify(null, bytes, maria.publicKey, Buffer.from(signature, "base64"));
          return isHers ? { name, isKnown: true, roles: ["operator"] } : undefined;
        },
      },
      keys: new Map([[keyId(fleet.publicKey), fleet.publicKey]]),
      ...{
        nowMs: () => NOW,
        bootMs: () => bootMs.value,
        verbsFor,
        record: (what, detail) => void told.push({ what, detail }),
        report: () => undefined,
      },
    },
    { fleet: "north", gateway: "plant-7" },
  );
  return { commands, done, told, inbox, bootMs };
}

function command(more: object = {}, by: { privateKey: KeyObject; publicKey: KeyObject } = fleet): Buffer {
  const body = {
    ...{ v: 1, kind: "command", fleet: "north", gateway: "plant-7", id: randomUUID(), issuedAt: NOW - 1000 },
    ...{ expiresAt: NOW + 60_000, verb: "stop", arguments: { why: "smoke" }, ...more },
  };
  return Buffer.from(signedText(body, signerOf(by.privateKey, by.publicKey)));
}

test("a command of the fleet is done once, as somebody whom the gateway does not know", async () => {
  const { commands, done, told } = gateway();
  await commands.start();
  await commands.heard(command(), false);
  expect(done).toEqual([[`fleet:${keyId(fleet.publicKey)}`, "stop", { why: "smoke" }]]);
  expect(told).toMatchObject([{ what: "command done", detail: { verb: "stop" } }]);
});

test("a person's own signature counts as the person", async () => {
  const { commands, done } = gateway();
  await commands.heard(command({ person: "maria", verb: "mode" }, maria), false);
  expect(done).toMatchObject([["maria", "mode", {}]]);
});

test("what is logged may be changed by whoever may ask anything, and it is written down who did", async () => {
  const { commands, done, told } = gateway();
  const given = { level: "debug", minutes: 10 };
  await commands.heard(command({ verb: "logLevel", arguments: given }), false);
  const by = `fleet:${keyId(fleet.publicKey)}`;
  expect(done).toEqual([[by, "logLevel", given]]);
  expect(told).toMatchObject([{ what: "command done", detail: { verb: "logLevel", arguments: given, by } }]);
});

test.each([
  ["a copy that the broker kept", command(), true, "retained"],
  ["one that comes late", command({ expiresAt: NOW - 1 }), false, "expired"],
  ["one that lives too long", command({ expiresAt: NOW + 2 * 86_400_000 }), false, "tooLong"],
  ["one from the future", command({ issuedAt: NOW + 600_000, expiresAt: NOW + 700_000 }), false, "notYet"],
  ["one for another gateway", command({ gateway: "plant-8" }), false, "notForUs"],
  ["one for another fleet", command({ fleet: "south" }), false, "notForUs"],
  ["what is not done from afar", command({ verb: "release" }), false, "notFromAfar"],
  ["a verb of every object", command({ verb: "constructor" }), false, "notFromAfar"],
  ["a stranger's", command({}, eve), false, "SYNC_SIGNATURE"],
  ["a stranger's in a person's name", command({ person: "maria" }, eve), false, "SYNC_SIGNATURE"],
  ["the fleet's in a person's name", command({ person: "maria" }), false, "SYNC_SIGNATURE"],
  [
    "one that was changed on the way",
    Buffer.from(String(command()).replace("smoke", "steam")),
    false,
    "SYNC_SIGNATURE",
  ],
  ["one without a signature", Buffer.from(JSON.stringify({ v: 1, kind: "command" })), false, "SYNC_NOT_SIGNED"],
  ["no JSON", Buffer.from([0xff, 0x00]), false, "SYNC_NOT_SIGNED"],
  ["one that is too large", Buffer.alloc(100_000, 32), false, "it is too large"],
])("refuses and records %s", async (_what, payload, isRetained, reason) => {
  const { commands, done, told } = gateway();
  await commands.heard(payload, isRetained);
  expect(done).toEqual([]);
  expect(told).toMatchObject([{ what: "command refused", detail: { reason } }]);
});

test("a command is not done twice, after a restart neither", async () => {
  const first = gateway();
  const once = command();
  await first.commands.heard(once, false);
  await first.commands.heard(once, false);
  const second = gateway(first.inbox);
  await second.commands.start();
  await second.commands.heard(once, false);
  expect([first.done.length, second.done.length]).toEqual([1, 0]);
  expect([...first.told, ...second.told].map(({ detail }) => detail["reason"])).toEqual([
    undefined,
    "seenBefore",
    "seenBefore",
  ]);
});

test("a flood of what nobody signed fills no log", async () => {
  const { commands, told } = gateway();
  for (let n = 0; n < 1000; n++) await commands.heard(Buffer.from("{}"), false);
  expect(told).toHaveLength(20);
});

test("a command that is said again and again fills no log, and a stranger's noise does not hide it", async () => {
  const { commands, told, bootMs } = gateway();
  const once = command();
  for (let n = 0; n < 1000; n++) await commands.heard(Buffer.from("{}"), false);
  for (let n = 0; n < 1000; n++) await commands.heard(once, n % 2 === 0);
  expect(told.filter(({ detail }) => detail["verb"] === "stop" && detail["reason"] !== undefined)).toHaveLength(20);
  bootMs.value += 60_000;
  await commands.heard(once, false);
  expect(told.at(-1)?.detail).toMatchObject({ reason: "seenBefore", refused: 2000 });
});

test("on a full disk a stop is done all the same, anything else is refused, and what comes later is heard", async () => {
  const disk = { isFull: true };
  const { commands, done, told } = gateway([], disk);
  const mode = command({ verb: "mode" });
  await commands.heard(mode, false);
  await commands.heard(command(), false);
  expect(done.map(([, verb]) => verb)).toEqual(["stop"]);
  expect(told).toMatchObject([
    { what: "command refused", detail: { verb: "mode", reason: "notWrittenDown", code: "STORE_UNUSABLE" } },
    { what: "command done", detail: { verb: "stop" } },
  ]);
  disk.isFull = false;
  await commands.heard(command({ verb: "mode" }), false);
  expect(done.map(([, verb]) => verb)).toEqual(["stop", "mode"]);
});

test("a command whose work fails for a reason that nobody thought of is refused, and ends nothing", async () => {
  const { commands, told } = gateway([], { isFull: false });
  await commands.heard(command({ verb: "mode", arguments: { fail: true } }), false);
  await commands.heard(command({ verb: "mode" }), false);
  expect(told.map(({ what }) => what)).toEqual(["command refused", "command done"]);
  expect(told[0]?.detail).toMatchObject({ code: "FAILED", reason: "the pump is not there" });
});

test("a stop is done while the disk hangs, and not after the command before it, which waits for the disk", async () => {
  const { commands, done, told } = gateway([], { isFull: false, hangs: true });
  void commands.heard(command({ verb: "mode" }), false);
  const stop = command();
  await commands.heard(stop, false);
  expect(done.map(([, verb]) => verb)).toEqual(["stop"]);
  await commands.heard(stop, false);
  expect(told.map(({ what, detail }) => [what, detail["reason"]])).toEqual([
    ["command done", undefined],
    ["command refused", "seenBefore"],
  ]);
});
