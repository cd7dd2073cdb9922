import { expect, it } from "vitest";
import { admit, admitsAnonymous, isCarelesslyOpen } from "../../../daemon/bus/access.ts";

const pump = { passwordFile: "pump", publish: ["plant/pump/#"], subscribe: ["plant/pump/+"] };
const users = { pump };
const files = { secret: (): string => "secret" };

it("lets strangers in on loopback only, while there are no users, or when someone says so", () => {
  expect(admitsAnonymous({ host: "127.0.0.1", users: {} })).toBe(true);
  expect(admitsAnonymous({ host: "::1", users: {} })).toBe(true);
  expect(admitsAnonymous({ host: "127.0.0.1", users })).toBe(false);
  expect(admitsAnonymous({ host: "0.0.0.0", users: {} })).toBe(false);
  expect(admitsAnonymous({ host: "0.0.0.0", users, anonymous: true })).toBe(true);
  expect(admitsAnonymous({ host: "127.0.0.1", users: {}, anonymous: false })).toBe(false);
});

it("calls a bus carelessly open when the network reaches it and nothing was said", () => {
  expect(isCarelesslyOpen({ host: "0.0.0.0", users: {} })).toBe(true);
  expect(isCarelesslyOpen({ host: "0.0.0.0", users })).toBe(false);
  expect(isCarelesslyOpen({ host: "0.0.0.0", users: {}, anonymous: false })).toBe(false);
  expect(isCarelesslyOpen({ host: "localhost", users: {} })).toBe(false);
});

it("holds a user to topics and filters within those that are allowed", () => {
  const admission = admit({ host: "127.0.0.1", users }, files, "pump", Buffer.from("secret"));
  if (!admission.ok) throw new Error("refused");
  const { permission } = admission;
  expect(["plant/pump/t", "plant/pump", "plant/x", "$SYS/x"].map((topic) => permission.mayPublish(topic))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(
    ["plant/pump/a", "plant/pump/+", "plant/pump/#", "#", "$SYS/#"].map((filter) => permission.maySubscribe(filter)),
  ).toEqual([true, true, false, false, false]);
});

it("lets nobody in when the password's file is empty or gone", () => {
  const rules = { host: "127.0.0.1", users };
  expect(admit(rules, { secret: () => "" }, "pump", Buffer.from(""))).toMatchObject({
    ok: false,
    reason: "wrongPassword",
  });
  const cause = new Error("gone");
  const gone = (): string => {
    throw cause;
  };
  const refused = { ok: false, reason: "passwordFile", cause };
  expect(admit(rules, { secret: gone }, "pump", Buffer.from("secret"))).toEqual(refused);
  expect(admit(rules, files, "pump", undefined)).toMatchObject({ ok: false, reason: "wrongPassword" });
  expect(admit(rules, files, undefined, undefined)).toMatchObject({ ok: false, reason: "notAuthorized" });
});
