import { createHash, createPrivateKey } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { firstRequest, joined } from "../../../daemon/enrol/joining.ts";
import { enrol } from "../../../fleet/enrol/desk.ts";
import { initFleet } from "../../../fleet/enrol/init-fleet.ts";
import { certificateFacts, newKey } from "../../../sync/certificate-facts.ts";
import { certificateRequest } from "../../../sync/certificates.ts";
import { type Enrolment, readEnrolment, requestText } from "../../../sync/enrolment.ts";
import { fleetKeys } from "../../../sync/fleet-keys.ts";
import { gatewayTopics, newcomerName, requestTopic } from "../../../sync/topics.ts";
import { EnrolSite } from "../../support/enrol-site.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
let site: EnrolSite;
beforeEach(async () => {
  site = await EnrolSite.made();
});
afterEach(() => site.remove());

const topicOf = (name: string) => gatewayTopics("north", name).report("csr");
/** The code with which a request is refused; undefined: there is a certificate. */
async function refusal(name: string, request: string): Promise<string | undefined> {
  const reply = await site.responder.handle(topicOf(name), Buffer.from(request));
  const answer = JSON.parse(reply?.payload ?? "{}") as { refused?: string; certificate?: string };
  expect([answer.refused, answer.certificate].filter((one) => one !== undefined)).toHaveLength(1);
  return answer.refused;
}

async function withToken(enrolment: Enrolment, over: Readonly<Record<string, unknown>> = {}, key = newKey()) {
  const { fleet, gateway, token } = { ...enrolment, ...over };
  const request = await certificateRequest(String(over["asks"] ?? gateway), key);
  return requestText({ v: 1, kind: "certificateRequest", fleet, gateway, request, token });
}

async function renewal(
  gateway: string,
  current: { certificate: string; key: string },
  key = newKey(),
  prover?: string,
) {
  const request = await certificateRequest(gateway, key);
  const { certificate } = current;
  const body = { v: 1, kind: "certificateRequest", fleet: "north", gateway, request, certificate } as const;
  return requestText(body, createPrivateKey(prover ?? current.key));
}

describe("a token", () => {
  test("gives one key a certificate, as often as it is asked for, and no other key", async () => {
    const enrolment = await site.enrolment();
    const own = await withToken(enrolment);
    expect(await refusal(newcomerName("plant-7"), own)).toBeUndefined();
    expect(await refusal(newcomerName("plant-7"), own)).toBeUndefined();
    const given = site.ledger.issued("plant-7").filter(({ commonName }) => commonName === "plant-7");
    expect(given).toHaveLength(1);
    expect(given[0]?.notAfterMs).toBeCloseTo(site.nowMs + 90 * DAY_MS, -4);
    expect(await refusal(newcomerName("plant-7"), await withToken(enrolment))).toBe("ENROL_TOKEN_USED");
  });

  test("of two that come at one time lets one in", async () => {
    const enrolment = await site.enrolment();
    const both = await Promise.all([withToken(enrolment), withToken(enrolment)]);
    const codes = await Promise.all(both.map((one) => refusal(newcomerName("plant-7"), one)));
    expect(codes.sort()).toEqual(["ENROL_TOKEN_USED", undefined]);
  });

  test("expires, is for one name, and is none that somebody made up", async () => {
    const enrolment = await site.enrolment("plant-7", { validMs: HOUR_MS });
    const other = await withToken(enrolment, { gateway: "plant-8" });
    expect(await refusal(newcomerName("plant-8"), other)).toBe("ENROL_OTHER_NAME");
    expect(await refusal(newcomerName("plant-8"), await withToken(enrolment))).toBe("ENROL_OTHER_NAME");
    expect(await refusal(newcomerName("plant-7"), await withToken(enrolment, { asks: "collector" }))).toBe(
      "ENROL_OTHER_NAME",
    );
    expect(await refusal(newcomerName("plant-7"), await withToken(enrolment, { fleet: "south" }))).toBe(
      "ENROL_OTHER_NAME",
    );
    const madeUp = Buffer.alloc(32, 7).toString("base64url");
    expect(await refusal(newcomerName("plant-7"), await withToken(enrolment, { token: madeUp }))).toBe("ENROL_TOKEN");
    expect(await refusal(newcomerName("plant-7"), await withToken(enrolment, { token: undefined }))).toBe(
      "ENROL_TOKEN",
    );
    site.nowMs += HOUR_MS;
    expect(await refusal(newcomerName("plant-7"), await withToken(enrolment))).toBe("ENROL_TOKEN_EXPIRED");
    expect(site.ledger.issued("plant-7").map(({ commonName }) => commonName)).toEqual(["enrol:plant-7"]);
  });

  test("is nowhere at the fleet but as its hash", async () => {
    const { token, bootstrap } = await site.enrolment();
    const files = readdirSync(site.folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
    const all = files
      .map(({ name, parentPath }) => `${name}\n${readFileSync(join(parentPath, name), "latin1")}`)
      .join("\n");
    expect(all).toContain(`${createHash("sha256").update(token).digest("hex")}.json`);
    expect(all).toContain(bootstrap.certificate);
    expect(all).not.toContain(token);
    expect(all).not.toContain(bootstrap.key.split("\n")[1]);
  });

  test("that was given back is nobody's", async () => {
    const enrolment = await site.enrolment();
    expect(site.ledger.voidTokens("plant-8")).toBe(0);
    expect(site.ledger.voidTokens("plant-7")).toBe(1);
    expect(await refusal(newcomerName("plant-7"), await withToken(enrolment))).toBe("ENROL_TOKEN_USED");
  });

  test.each(["collector", "broker", "a/b", "a.b", "+", "", "enrol:x", "x".repeat(65)])(
    "is not given to the name %j",
    async (gateway) => {
      await expect(site.enrolment(gateway)).rejects.toMatchObject({ code: "ENROL_NAME" });
    },
  );
});

describe("a certificate", () => {
  test("brings the next one, for a key that it vouches for, with the same length of life", async () => {
    const current = (await site.joined()).current();
    if (current === undefined) throw new Error("not joined");
    const text = await renewal("plant-7", current);
    site.nowMs += 60 * DAY_MS;
    expect(await refusal("plant-7", text)).toBeUndefined();
    expect(await refusal("plant-7", text)).toBeUndefined();
    const [newest] = site.ledger.issued("plant-7").sort((a, b) => b.notAfterMs - a.notAfterMs);
    expect(newest?.notAfterMs).toBeCloseTo(site.nowMs + 90 * DAY_MS, -4);
    expect(site.ledger.issued("plant-7").filter(({ commonName }) => commonName === "plant-7")).toHaveLength(2);
  });

  test("brings none without its key's proof, for another name, expired or revoked", async () => {
    const current = (await site.joined()).current();
    const other = (await site.joined("plant-8")).current();
    if (current === undefined || other === undefined) throw new Error("not joined");
    expect(await refusal("plant-7", await renewal("plant-7", current, newKey(), other.key))).toBe("ENROL_NOT_PROVEN");
    expect(await refusal("plant-8", await renewal("plant-8", current))).toBe("ENROL_NOT_PROVEN");
    expect(await refusal("plant-8", await renewal("plant-7", current))).toBe("ENROL_OTHER_NAME");
    const text = await renewal("plant-7", current);
    expect(await refusal("plant-7", text.replace(/,"proof".*$/, "}"))).toBe("ENROL_NOT_PROVEN");
    expect(await refusal("plant-7", text.replace(/,"certificate":"[^"]*"/, ""))).toBe("ENROL_NOT_PROVEN");
    site.ledger.revoke(current.facts.serial, "plant-7", site.nowMs);
    expect(await refusal("plant-7", text)).toBe("ENROL_REVOKED");
    site.nowMs += 91 * DAY_MS;
    expect(await refusal("plant-8", await renewal("plant-8", other))).toBe("ENROL_NOT_PROVEN");
  });

  test("of the bootstrap brings none", async () => {
    const { bootstrap } = await site.enrolment();
    expect(certificateFacts(bootstrap.certificate).commonName).toBe("enrol:plant-7");
    const text = await renewal("plant-7", bootstrap);
    expect(await refusal(newcomerName("plant-7"), text)).toBe("ENROL_TOKEN");
    expect(await refusal("plant-7", text)).toBe("ENROL_NOT_PROVEN");
  });

  test("is not issued without end", async () => {
    const current = (await site.joined()).current();
    if (current === undefined) throw new Error("not joined");
    const codes: (string | undefined)[] = [];
    for (let n = 0; n < 12; n++) codes.push(await refusal("plant-7", await renewal("plant-7", current)));
    expect(codes).toEqual([...Array(9).fill(undefined), "ENROL_TOO_MANY", "ENROL_TOO_MANY", "ENROL_TOO_MANY"]);
    site.nowMs += DAY_MS + 1000;
    expect(await refusal("plant-7", await renewal("plant-7", current))).toBeUndefined();
  });
});

describe("the responder", () => {
  test("says nothing where nobody of its fleet asks, and refuses what it can not read", async () => {
    for (const topic of ["x", "holdfast/v1/south/plant-7/rep/csr", "holdfast/v1/north/plant-7/rep/command"])
      expect(await site.responder.handle(topic, Buffer.from("{}"))).toBeUndefined();
    for (const text of ["", "{", "null", "[]", "{}", `{"v":1,"kind":"certificateRequest"}`, "x".repeat(70_000)])
      expect(await refusal("plant-7", text)).toBe("ENROL_REQUEST");
    const enrolment = await site.enrolment();
    const text = await withToken(enrolment);
    expect(await refusal(newcomerName("plant-7"), text.replace("BEGIN CERT", "BEGIN XERT"))).toBe("ENROL_REQUEST");
    expect(await refusal(newcomerName("plant-7"), text)).toBeUndefined();
  });

  test("takes no more than it can answer soon", async () => {
    const all = Array.from({ length: 200 }, () => site.responder.handle(topicOf("plant-7"), Buffer.from("{}")));
    const answered = (await Promise.all(all)).filter((one) => one !== undefined);
    expect(answered).toHaveLength(64);
    expect(await refusal("plant-7", "{}")).toBe("ENROL_REQUEST");
  });

  test("answers where the one who asked can hear it", () => {
    expect(requestTopic(topicOf(newcomerName("plant-7")))).toEqual({
      ...{ fleet: "north", gateway: "plant-7", isNewcomer: true, answer: "holdfast/v1/north/enrol:plant-7/down/enrol" },
    });
    expect(requestTopic(topicOf("plant-7"))?.answer).toBe(gatewayTopics("north", "plant-7").certificate);
    for (const topic of [
      "holdfast/v1/north/enrol:/rep/csr",
      "holdfast/v1/north/enrol:enrol:a/rep/csr",
      "holdfast/v1/north/a.b/rep/csr",
      "holdfast/v1/north/a/rep/csr/x",
    ])
      expect(requestTopic(topic)).toBeUndefined();
  });
});

describe("an enrolment", () => {
  test("is refused by a gateway where it was changed, or another fleet's key signed it", async () => {
    const keys = {
      fleet: "north",
      gateway: "plant-7",
      brokers: ["mqtts://localhost:8883"],
      keys: [site.key.publicText],
    };
    const text = await enrol(site.deps, { ...keys, validMs: HOUR_MS, certificateMs: DAY_MS }, site.key.signer);
    expect(readEnrolment(`${text}\n`).gateway).toBe("plant-7");
    expect(() => readEnrolment(text.replace("plant-7", "plant-8"))).toThrow(
      expect.objectContaining({ code: "SYNC_SIGNATURE" }),
    );
    expect(() => readEnrolment(text.slice(0, -30))).toThrow(expect.objectContaining({ code: "SYNC_MESSAGE_INVALID" }));
    const foreign = await EnrolSite.made();
    const known = fleetKeys([foreign.key.publicText]);
    expect(() => readEnrolment(text, known)).toThrow(expect.objectContaining({ code: "SYNC_SIGNATURE" }));
    foreign.remove();
  });

  test("brings a gateway in, whose key nobody else has seen; answers for others are not taken", async () => {
    const files = site.dataOf("plant-7");
    const enrolment = await site.enrolment();
    const request = await firstRequest(files, enrolment);
    const answer = await site.ask("plant-7", request);
    const tampered = answer.replace('"gateway":"plant-7"', '"gateway":"plant-8"');
    expect(() => joined(files, enrolment, Buffer.from(tampered))).toThrow(
      expect.objectContaining({ code: "SYNC_SIGNATURE" }),
    );
    const another = site.dataOf("copy");
    await firstRequest(another, enrolment);
    expect(() => joined(another, enrolment, Buffer.from(answer))).toThrow(
      expect.objectContaining({ code: "JOIN_ANSWER" }),
    );
    const { facts, key } = joined(files, enrolment, Buffer.from(answer));
    expect(facts).toMatchObject({ commonName: "plant-7", isForClients: true });
    expect(facts.isSignedBy(site.authority.certificate)).toBe(true);
    expect(`${request}${answer}`).not.toContain(key.split("\n")[1]);
  });

  test("of a fleet is made once in a folder", async () => {
    const again = { fleet: "north", hosts: ["x"], port: 1, directory: site.folder, nowMs: site.nowMs };
    await expect(initFleet(again)).rejects.toMatchObject({ code: "ENROL_EXISTS" });
    expect(site.read("ca", "ca.pem")).toBe(site.authority.certificate);
  });
});
