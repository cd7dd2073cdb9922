import { expect, test } from "vitest";
import { approvalText, canonicalJson, proposalHash } from "../../sync/approval-text.ts";

test("canonical JSON is that of RFC 8785", () => {
  // The example of section 3.2.2, without what its reader would have changed already.
  const value = {
    // biome-ignore lint/correctness/noPrecisionLoss: the example means it.
    numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
    string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/",
    literals: [null, true, false],
  };
  expect(canonicalJson(value)).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  // Section 3.2.3: names in the order of their UTF-16 units.
  const names = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
  expect(Object.values(JSON.parse(canonicalJson(names)) as object)).toEqual(
    expect.arrayContaining([1, 2, 3, 4, 5, 6, 7]),
  );
  const order = [...canonicalJson(names).matchAll(/:(\d)/g)].map(([, digit]) => Number(digit));
  expect(order).toEqual([2, 4, 6, 7, 1, 5, 3]);
  expect(canonicalJson(-0)).toBe("0");
  for (const none of [Number.NaN, Number.POSITIVE_INFINITY]) expect(() => canonicalJson(none)).toThrow();
  expect(() => canonicalJson(undefined as never)).toThrow();
});

test("what is signed is one line with sorted names", () => {
  const text = approvalText({ decision: "approved", hash: "ab", person: "maria", proposal: "p1" });
  expect(text.toString()).toBe('{"decision":"approved","hash":"ab","person":"maria","proposal":"p1","v":1}');
});

test("a proposal with anything else in it has another hash", () => {
  const content = {
    proposal: "p1",
    gateway: "plant-7",
    policy: "0123456789abcdef",
    tool: "stop-pump",
    arguments: { pump: "p1", seconds: 5 },
    agent: "pump-guard",
    key: "p1",
    rule: "stop",
    approveBefore: 1,
    executeBefore: 2,
  };
  const hash = proposalHash(content);
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(proposalHash({ ...content, arguments: { seconds: 5, pump: "p1" } })).toBe(hash);
  const changed = Object.entries(content).map(([name, value]) => ({
    ...content,
    [name]:
      typeof value === "string" ? `${value}x` : typeof value === "number" ? value + 1 : { ...value, seconds: "5" },
  }));
  const hashes = changed.map(proposalHash);
  expect(new Set([hash, ...hashes]).size).toBe(changed.length + 1);
});
