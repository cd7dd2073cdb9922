import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createPeople, may, type Person } from "../../daemon/people.ts";
import { approvalText } from "../../sync/approval-text.ts";

const PASSWD =
  "root:x:0:0:root:/root:/bin/bash\nholdfast:x:990:990::/:/bin/false\nmaria:x:1001:1001::/:/bin/sh\nbroken\n";
const passwd = () => PASSWD;
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const key = publicKey.export({ format: "der", type: "spki" }).toString("base64");
const tokenHash = createHash("sha256").update("open sesame").digest("hex");

const named = createPeople({
  people: {
    maria: { roles: ["operator"], localUser: "maria" },
    jan: { roles: ["approver"], tokenHash, publicKey: key },
    ada: { roles: ["admin"], localUser: "4711" },
  },
  ownUid: 990,
  passwd,
});
const nobody = createPeople({ people: {}, ownUid: 990, passwd });

describe("people", () => {
  test("are known by the user of the other end", () => {
    expect(named.byUid(1001)).toEqual({ name: "maria", isKnown: true, roles: ["operator"] });
    expect(named.byUid(4711).name).toBe("ada");
  });

  test("who are not named are users, and root is one of them", () => {
    expect(named.byUid(0)).toEqual({ name: "user:root", isKnown: false, roles: [] });
    expect(named.byUid(990).isKnown).toBe(false);
    expect(named.byUid(5000).name).toBe("user:5000");
    expect(named.byUid(undefined)).toEqual({ name: "user:unknown", isKnown: false, roles: [] });
  });

  test("while nobody is named are root and the daemon's own user, as admins", () => {
    expect(nobody.byUid(0)).toEqual({ name: "root", isKnown: true, roles: ["admin"] });
    expect(nobody.byUid(990)).toEqual({ name: "holdfast", isKnown: true, roles: ["admin"] });
    expect(nobody.byUid(1001).isKnown).toBe(false);
    expect(nobody.named("root")?.isKnown).toBe(true);
    expect(nobody.named("maria")).toBeUndefined();
    expect(named.named("root")).toBeUndefined();
  });

  test("follow /etc/passwd as it is now", () => {
    let text = "";
    const people = createPeople({
      people: { m: { roles: ["operator"], localUser: "maria" } },
      ownUid: 0,
      passwd: () => text,
    });
    expect(people.byUid(1001).isKnown).toBe(false);
    text = PASSWD;
    expect(people.byUid(1001).name).toBe("m");
  });

  test("are known by their token, and by nobody else's", () => {
    expect(named.byToken("open sesame")?.name).toBe("jan");
    for (const wrong of ["open sesame ", "", tokenHash]) expect(named.byToken(wrong)).toBeUndefined();
  });

  test("are known by their signature over exactly these bytes", () => {
    const answer = { decision: "approved", hash: "ab".repeat(32), person: "jan", proposal: "p1" } as const;
    const text = approvalText(answer);
    const signature = sign(null, text, privateKey).toString("base64");
    expect(named.bySignature("jan", text, signature)?.name).toBe("jan");
    const others = [
      approvalText({ ...answer, decision: "rejected" }),
      approvalText({ ...answer, proposal: "p2" }),
      approvalText({ ...answer, hash: "ac".repeat(32) }),
      approvalText({ ...answer, person: "ada" }),
    ];
    for (const other of others) expect(named.bySignature("jan", other, signature)).toBeUndefined();
    expect(named.bySignature("maria", text, signature)).toBeUndefined();
    expect(named.bySignature("constructor", text, signature)).toBeUndefined();
    for (const bad of ["", "AAAA", `${signature.slice(0, -4)}AAAA`])
      expect(named.bySignature("jan", text, bad)).toBeUndefined();
  });

  test("with a key that is none, or of another kind, sign nothing", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const rsaKey = rsa.publicKey.export({ format: "der", type: "spki" }).toString("base64");
    const text = Buffer.from("x");
    for (const publicKey of ["MCowBQYDK2VwAyEA", "?", rsaKey]) {
      const people = createPeople({ people: { a: { roles: ["admin"], publicKey } }, ownUid: 0, passwd });
      const signature = sign("sha256", text, rsa.privateKey).toString("base64");
      expect(people.bySignature("a", text, signature)).toBeUndefined();
    }
  });
});

test.each<[Person["roles"], readonly boolean[]]>([
  [["operator"], [true, true, true, false]],
  [["approver"], [false, false, false, true]],
  [
    ["operator", "approver"],
    [true, true, true, true],
  ],
  [["admin"], [true, true, true, true]],
])("the roles %j may loosen, release, use and approve: %j", (roles, expected) => {
  const deeds = ["loosen", "release", "use", "approve"] as const;
  expect(deeds.map((deed) => may({ name: "x", isKnown: true, roles }, deed))).toEqual(expected);
  expect(deeds.some((deed) => may({ name: "x", isKnown: false, roles }, deed))).toBe(false);
});
