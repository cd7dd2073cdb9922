import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { featureFunctions, parseFeature } from "../../config/feature-syntax.ts";
import { editDistance, nearest } from "../../config/nearest.ts";
import { pathText } from "../../config/problems.ts";
import { prune } from "../../config/prune.ts";
import { rootSchema } from "../../config/schema-tree.ts";
import { clientTopicMistake, readTopic } from "../../config/topic-syntax.ts";
import { upgrade } from "../../config/upgrade.ts";

describe("the syntax of features", () => {
  it("reads each function with a field, whatever the spaces", () => {
    const name = fc.stringMatching(/^[A-Za-z_]\w{0,8}$/);
    const space = fc.constantFrom("", " ", "  ");
    const fn = fc.constantFrom(...featureFunctions.filter((one) => one !== "quantile"));
    fc.assert(
      fc.property(fn, name, space, (one, field, gap) => {
        const expected = { ok: true, call: { fn: one, field, argument: undefined } };
        expect(parseFeature(`${gap}${one}${gap}(${gap}${field}${gap})${gap}`)).toEqual(expected);
      }),
    );
  });

  it("takes a quantile from 0 to 1 and nothing else", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        expect(parseFeature(`quantile(x, ${number})`).ok).toBe(number >= 0 && number <= 1);
      }),
    );
    expect(parseFeature("mean(x, 0.5)").ok).toBe(false);
  });

  it("refuses anything else without an exception", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseFeature(text)));
    for (const text of [
      "",
      "mean",
      "mean()",
      "mean(a b)",
      "mean(a)(b)",
      "mean(a); x",
      "quantile(a, .)",
      "quantile(a, 1.2.3)",
    ]) {
      expect(parseFeature(text).ok, text).toBe(false);
    }
  });
});

describe("did you mean", () => {
  it("finds a word with one letter wrong, missing, doubled or swapped", () => {
    const known = ["priority", "sources", "window", "deadlineSeconds"];
    for (const [word, meant] of [
      ["prority", "priority"],
      ["sorces", "sources"],
      ["windwo", "window"],
      ["deadlineSecond", "deadlineSeconds"],
      ["PRIORITY", "priority"],
    ]) {
      expect(nearest(word as string, known)).toBe(meant);
    }
    expect(nearest("colour", known)).toBeUndefined();
  });

  it("measures a distance: zero for the same, symmetric", () => {
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, a)).toBe(0);
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});

describe("topics", () => {
  it("have named levels in order", () => {
    expect(readTopic("plant/{line}/{pump}/+/#")).toEqual({ names: ["line", "pump"], mistake: undefined });
  });

  it("are refused when a wildcard or a name is half a level", () => {
    for (const topic of ["", "a/#/b", "a#", "+a", "{a", "a}", "{a}{b}", "{a}/{a}", "{1a}", "a\0b", "a/".repeat(70)]) {
      expect(readTopic(topic).mistake, JSON.stringify(topic)).toBeTypeOf("string");
    }
  });

  it("of users have no names", () => {
    expect(clientTopicMistake("plant/+/#")).toBeUndefined();
    expect(clientTopicMistake("plant/{pump}")).toBeTypeOf("string");
  });
});

describe("older and newer files", () => {
  it("of this version, and of none, stay as they are", () => {
    expect(upgrade({ a: 1 })).toEqual({ ok: true, value: { a: 1 } });
    expect(upgrade({ schemaVersion: 1 })).toEqual({ ok: true, value: { schemaVersion: 1 } });
  });

  it("of a newer version are refused", () => {
    expect(upgrade({ schemaVersion: 2 })).toMatchObject({ ok: false, finding: { path: ["schemaVersion"] } });
  });
});

describe("a half-right configuration", () => {
  it("keeps what fits, and knows where it stood", () => {
    const rest = prune(rootSchema, {
      policy: [{ id: "a" }, { id: "b", effect: "permit", strange: 1 }],
      device: { name: 5 },
    });
    expect(rest?.data.policy).toEqual([{ id: "b", effect: "permit", tools: ["*"], agents: ["*"] }]);
    expect(rest?.originalPath(["policy", 0, "id"])).toEqual(["policy", 1, "id"]);
    expect(rest?.data.device.name).toBe("gateway");
  });

  it("is nothing at all when it is no map", () => {
    expect(prune(rootSchema, [])).toBeUndefined();
  });
});

describe("a path", () => {
  it("is written as people write it", () => {
    expect(pathText(["agents", "pump", "rules", 0, "when"])).toBe("agents.pump.rules[0].when");
  });
});
