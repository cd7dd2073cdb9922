import { generateKeyPairSync, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { madeCommand, signedAnswer } from "../../../fleet/command/making.ts";
import { usages, wishOf } from "../../../fleet/command/wish.ts";
import { fateText, refusalText } from "../../../fleet/command/words.ts";
import { approvalText, proposalHash } from "../../../sync/approval-text.ts";
import { commandVerbs, readCommand, untimely } from "../../../sync/command.ts";
import { type Proposal, proposalSchema } from "../../../sync/records.ts";
import { signerOf } from "../../../sync/signing.ts";

const NOW = 1_795_843_906_000.5;
const ID = "01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e";
const fleet = generateKeyPairSync("ed25519");
const signer = signerOf(fleet.privateKey, fleet.publicKey);
const to = { fleet: "north", gateway: "plant-7" };
const stop = { verb: "stop", arguments: { why: 'Rauch in Halle 3, "signature":"' } } as const;

describe("the words of a command", () => {
  test.each([
    [["stop", "smoke in hall 3"], { verb: "stop", arguments: { why: "smoke in hall 3" } }],
    [["mode", "gateway", "observe"], { verb: "mode", arguments: { scope: "gateway", mode: "observe" } }],
    [["mode", "tool:valve", "dryRun"], { verb: "mode", arguments: { scope: "tool:valve", mode: "dryRun" } }],
    [["switch", "agent:pumps", "off"], { verb: "switch", arguments: { scope: "agent:pumps", on: false } }],
    [["approve", ID], { verb: "approve", arguments: { proposal: ID } }],
    [["deny", ID], { verb: "deny", arguments: { proposal: ID } }],
    [["log-level", "debug"], { verb: "logLevel", arguments: { level: "debug", minutes: 60 } }],
  ])("%j are what the wire says", ([what = "", ...words], wish) => {
    expect(wishOf(what, words)).toEqual(wish);
  });

  test.each([
    [["stop"], 'it is: stop "WHY"'],
    [["stop", "smoke", "in", "hall"], 'it is: stop "WHY"'],
    [["stop", " "], "say why"],
    [["stop", "x".repeat(1001)], "1000 characters"],
    [["mode", "valve", "observe"], "SCOPE is gateway, agent:NAME or tool:NAME"],
    [["mode", "gateway", "off"], "MODE is one of"],
    [["switch", "gateway", "off"], "SCOPE is agent:NAME or tool:NAME"],
    [["switch", "tool:valve", "of"], "say on or off"],
    [["approve", "the-last-one"], "ID is the action's"],
    [["log-level", "error"], "LEVEL is one of debug, info, warn"],
    [["release"], 'there is no "release"'],
    [["constructor"], 'there is no "constructor"'],
  ])("%j are none, and it is said what would be", ([what = "", ...words], problem) => {
    expect(wishOf(what, words)).toContain(problem);
  });

  test("--minutes counts for log-level, and is a mistake with others", () => {
    expect(wishOf("log-level", ["debug"], 5)).toMatchObject({ arguments: { minutes: 5 } });
    expect(wishOf("stop", ["smoke"], 5)).toBe("--minutes is for log-level");
  });

  test("there are words for all that may be asked from afar", () => {
    const made = usages.map((usage) => {
      const [what = ""] = usage.split(" ");
      const words = [[], ["a"], ["gateway", "observe"], ["tool:a", "on"], [ID], ["debug"]];
      return words.map((some) => wishOf(what, some)).find((wish) => typeof wish !== "string");
    });
    const verbs = made.map((wish) => (typeof wish === "object" ? wish.verb : undefined));
    expect(verbs.toSorted()).toEqual([...commandVerbs].toSorted());
  });
});

describe("a command", () => {
  test("is byte for byte as the wire says, and signed by its key", () => {
    const { text, expiresAt } = madeCommand(
      to,
      stop,
      { signer, person: "maria" },
      { id: ID, nowMs: NOW, lifeMs: 60_000 },
    );
    const { command, signed } = readCommand(Buffer.from(text));
    expect(text).toBe(
      `{"v":1,"kind":"command","fleet":"north","gateway":"plant-7","id":"${ID}","issuedAt":1795843906000,` +
        `"expiresAt":1795843966000,"verb":"stop","arguments":{"why":"Rauch in Halle 3, \\"signature\\":\\""},` +
        `"person":"maria","key":"${signer.key}","signature":"${signed.signature}"}`,
    );
    expect(verify(null, Buffer.from(signed.text), fleet.publicKey, Buffer.from(signed.signature, "base64"))).toBe(true);
    expect(command).toMatchObject({ ...to, id: ID, verb: "stop", person: "maria", expiresAt });
    expect(untimely(command, NOW)).toBeUndefined();
    expect(untimely(command, expiresAt)).toBe("expired");
  });

  test("of the fleet names no person", () => {
    const made = madeCommand(to, stop, { signer, person: undefined }, { id: ID, nowMs: NOW, lifeMs: 60_000 });
    expect(JSON.parse(made.text)).not.toHaveProperty("person");
  });
});

describe("a person's answer", () => {
  const content = { policy: "0011223344556677", tool: "open", agent: "pumps", key: "p1", rule: "dry" };
  const more = { arguments: { valve: "v1", share: 0.1 }, approveBefore: inMinutes(5), executeBefore: inMinutes(10) };
  const hash = proposalHash({
    ...{ ...content, proposal: ID, gateway: "plant-7", arguments: more.arguments },
    ...{ approveBefore: more.approveBefore.wallMs, executeBefore: more.executeBefore.wallMs },
  });
  const waiting = proposalSchema.parse({
    ...{
      v: 1,
      kind: "proposal",
      id: ID,
      ...content,
      ...more,
      target: "v1",
      class: "reversible",
      state: "awaitingApproval",
    },
    ...{ verdict: { effect: "requireApproval", rules: [] }, idempotencyKey: "k", needs: 1, hash },
  }) as Proposal;
  const maria = generateKeyPairSync("ed25519");
  const by = { signer: signerOf(maria.privateKey, maria.publicKey), person: "maria" };

  test.each([
    ["approve", "approved"],
    ["deny", "rejected"],
  ] as const)("to %s is signed over all that the action would do", (verb, decision) => {
    const { arguments: given } = signedAnswer({ verb, arguments: { proposal: ID } }, waiting, "plant-7", by);
    expect(given).toMatchObject({ proposal: ID, as: "maria" });
    const text = approvalText({ decision, hash, person: "maria", proposal: ID });
    expect(verify(null, text, maria.publicKey, Buffer.from(String(given["signature"]), "base64"))).toBe(true);
  });

  test.each([
    ["other arguments", { arguments: { valve: "v2", share: 0.1 } }],
    ["another tool", { tool: "dump" }],
    ["another time", { executeBefore: inMinutes(11) }],
    ["no hash", { hash: undefined }],
  ])("is not given where the fleet's copy has %s than what its hash was made of", (_what, changed) => {
    const made = () =>
      signedAnswer({ verb: "approve", arguments: {} }, { ...waiting, ...changed } as Proposal, "plant-7", by);
    expect(made).toThrow(expect.objectContaining({ code: "FLEET_PROPOSAL" }));
  });

  test("is for the device that made the action, whatever the fleet calls it", () => {
    const wish = { verb: "approve", arguments: { proposal: ID } } as const;
    expect(() => signedAnswer(wish, waiting, "north-plant-7", by)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("--device") }),
    );
  });
});

describe("what became of a command", () => {
  test("is a sentence for each of them", () => {
    for (const usage of usages) {
      const [what = ""] = usage.split(" ");
      const words = [[], ["a"], ["gateway", "observe"], ["tool:a", "on"], [ID], ["debug"]];
      const wish = words.map((some) => wishOf(what, some)).find((one) => typeof one !== "string");
      if (typeof wish !== "object") throw new Error(usage);
      const text = fateText({ gateway: "plant-7", ...wish }, signer.key, { state: "done" });
      expect(text).toMatch(/^plant-7.*\.$/);
      expect(text).not.toMatch(/has done it|undefined/);
    }
  });

  test("is told with the gateway's reason, and never as what a terminal would obey", () => {
    const refused = { state: "refused", reason: "expired" } as const;
    expect(fateText({ gateway: "plant-7", ...stop }, signer.key, refused)).toMatch(/^plant-7 refuses: it came after/);
    expect(refusalText("\u001b[2Jx")).toBe("�[2Jx");
    expect(refusalText("toString")).toBe("toString");
  });

  test("may be nothing, and then it is said whose key the gateway has to know", () => {
    const text = fateText({ gateway: "plant-7", ...stop }, signer.key, { state: "unanswered" });
    expect(text).toContain(signer.key);
  });
});

function inMinutes(minutes: number) {
  return { bootMs: minutes, wallMs: Math.floor(NOW) + minutes * 60_000, boot: "0123456789abcdef" };
}
