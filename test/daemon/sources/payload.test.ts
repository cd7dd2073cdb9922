import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FieldConfig, mqttSourceSchema } from "../../../config/agents.ts";
import { compileSource, type Parsed } from "../../../daemon/sources/payload.ts";
import { invalidReasons } from "../../../daemon/sources/reasons.ts";

type Input = string | Buffer | object;

function compile(
  source: Record<string, unknown>,
  options: { fields?: string[]; eventIdPath?: string; maxBytes?: number } = {},
) {
  const parsed = mqttSourceSchema.parse({ kind: "mqtt", topic: "t", ...source });
  const parse = compileSource({
    source: parsed,
    fields: options.fields ?? Object.keys(parsed.fields),
    eventIdPath: options.eventIdPath,
    maxBytes: options.maxBytes ?? 262_144,
  });
  return (payload: Input, topicKey: string | undefined = "key"): Parsed => {
    const bytes = Buffer.isBuffer(payload)
      ? payload
      : Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload));
    return parse(bytes, topicKey);
  };
}

const reason = (parsed: Parsed): string => (parsed.ok ? "ok" : parsed.reason);
const temperature: Partial<FieldConfig> = { min: -40, max: 200 };

describe("a JSON payload", () => {
  const parse = compile({ fields: { temperature, speed: { path: "motor.speed", type: "integer", missing: "null" } } });

  it("becomes values in the order of the agent's fields", () => {
    expect(parse({ motor: { speed: 3 }, temperature: 21.5 })).toEqual({
      ok: true,
      key: "key",
      eventId: undefined,
      timeMs: undefined,
      values: [21.5, 3],
    });
    const one = compile({ fields: { b: {} } }, { fields: ["a", "b", "c"] });
    expect(one({ b: 1 })).toMatchObject({ values: [undefined, 1, undefined] });
  });

  it("may leave out what may be missing", () => {
    expect(parse({ temperature: 1 })).toMatchObject({ ok: true, values: [1, undefined] });
    expect(parse({ temperature: 1, motor: null })).toMatchObject({ ok: true, values: [1, undefined] });
    expect(parse({ temperature: 1, motor: "off" })).toMatchObject({ ok: true, values: [1, undefined] });
  });

  it.each<[string, Input, string]>([
    ["nothing", "", "empty"],
    ["only a blank", " ", "notJson"],
    ["bytes that are no UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), "notUtf8"],
    ["a compressed file", Buffer.from("1f8b0800000000000003abe60200", "hex"), "notUtf8"],
    ["a cut object", '{"temperature":21', "notJson"],
    ["a trailing comma", '{"temperature":21,}', "notJson"],
    ["two objects", '{"temperature":21}{"temperature":22}', "notJson"],
    ["a byte order mark", '\uFEFF{"temperature":21}', "notJson"],
    ["NaN", '{"temperature":NaN}', "notJson"],
    ["a number alone", "21", "notAnObject"],
    ["null", "null", "notAnObject"],
    ["a list", "[21]", "notAnObject"],
    ["another field", { pressure: 21 }, "missingField:temperature"],
    ["null in the field", { temperature: null }, "missingField:temperature"],
    ["text in the field", { temperature: "21" }, "wrongType:temperature"],
    ["NaN as text", { temperature: "NaN" }, "wrongType:temperature"],
    ["hexadecimal as text", { temperature: "0x15" }, "wrongType:temperature"],
    ["a list in the field", { temperature: [21] }, "wrongType:temperature"],
    ["an object in the field", { temperature: {} }, "wrongType:temperature"],
    ["true in the field", { temperature: true }, "wrongType:temperature"],
    ["more than a double holds", '{"temperature":1e999}', "notFinite:temperature"],
    ["less than a double holds", '{"temperature":-1e999}', "notFinite:temperature"],
    ["too hot", { temperature: 201 }, "outOfRange:temperature"],
    ["too cold", { temperature: -41 }, "outOfRange:temperature"],
    ["a fraction for an integer", { temperature: 1, motor: { speed: 1.5 } }, "wrongType:speed"],
    ["an integer that is not exact", '{"temperature":1,"motor":{"speed":9007199254740993}}', "wrongType:speed"],
    ["a key twice", '{"temperature":1,"temperature":2}', "duplicateKey"],
    ["a key twice with blanks", '{"temperature" : 1 ,\n"temperature"\t: 2}', "duplicateKey"],
    ["a key twice, once escaped", '{"temperature":1,"\\u0074emperature":2}', "duplicateKey"],
    ["a key twice, deep inside", '{"temperature":1,"list":[{"a":{"b":1,"b":2}}]}', "duplicateKey"],
    ["a key twice beside text with colons", '{"temperature":1,"note":"a\\":b","temperature":2}', "duplicateKey"],
    ["__proto__", '{"__proto__":{"temperature":21}}', "forbiddenKey"],
    ["__proto__ inside", '{"temperature":21,"a":[{"__proto__":null}]}', "forbiddenKey"],
    ["__proto__ escaped", '{"temperature":21,"\\u005f_proto__":1}', "forbiddenKey"],
    ["lists in lists", `{"temperature":1,"a":${"[".repeat(500)}${"]".repeat(500)}}`, "tooDeep"],
    ["objects in objects", `{"temperature":1,"a":${'{"a":'.repeat(500)}1${"}".repeat(500)}}`, "tooDeep"],
    ["100,000 levels", `${"[".repeat(100_000)}`, "notJson"],
    ["100,000 closed levels", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, "notAnObject"],
    ["10 MB", Buffer.alloc(10_000_000, 32), "tooLarge"],
  ])("is refused: %s", (_, payload, expected) => {
    expect(reason(parse(payload))).toBe(expected);
  });

  it("is not refused for the same key in different objects, or colons and quotes in text", () => {
    expect(reason(parse('{"temperature":1,"a":{"x":1},"b":{"x":2},"c":[{"x":1},{"x":2}]}'))).toBe("ok");
    expect(reason(parse({ temperature: 1, text: 'a":"b', time: "12:30:00", 'odd":key': ":" }))).toBe("ok");
  });

  it("finds nothing that objects inherit", () => {
    const inherited = compile({
      fields: {
        a: { path: "constructor.name", type: "string" },
        b: { path: "toString", type: "string", missing: "null" },
      },
    });
    expect(reason(inherited({ x: 1 }))).toBe("missingField:a");
    expect(inherited({ constructor: { name: "acme" } })).toMatchObject({ ok: true, values: ["acme", undefined] });
  });

  it("takes keys, ids and times from where they stand", () => {
    const full = compile(
      { key: { path: "pump.id" }, timestamp: { path: "ts", unit: "ms" }, fields: { v: {} } },
      { eventIdPath: "id" },
    );
    const good = { pump: { id: "p1" }, ts: 1_700_000_000_123, v: 1, id: "m-1" };
    expect(full(good)).toEqual({ ok: true, key: "p1", eventId: "m-1", timeMs: 1_700_000_000_123, values: [1] });
    expect(full({ ...good, pump: { id: 7 }, id: 42 })).toMatchObject({ key: "7", eventId: "42" });
    expect(full({ ...good, id: undefined })).toMatchObject({ ok: true, eventId: undefined });
    expect(reason(full({ ...good, pump: {} }))).toBe("missingKey");
    expect(reason(full({ ...good, pump: { id: null } }))).toBe("missingKey");
    for (const id of ["", "a\nb", "x".repeat(257), true, 1.5, {}, "\ud800"])
      expect(reason(full({ ...good, pump: { id } }))).toBe("badKey");
    for (const id of ["", "a\u0000b", "x".repeat(129), [], 1e300])
      expect(reason(full({ ...good, id }))).toBe("badEventId");
    expect(reason(full({ ...good, ts: undefined }))).toBe("missingTimestamp");
    for (const ts of ["x", -1, 1e20, true, "1700000000123"]) expect(reason(full({ ...good, ts }))).toBe("badTimestamp");
  });

  it("is refused when the topic gives no key", () => {
    const parsed = mqttSourceSchema.parse({ kind: "mqtt", topic: "t", fields: { v: {} } });
    const parse = compileSource({ source: parsed, fields: ["v"], eventIdPath: undefined, maxBytes: 100 });
    expect(reason(parse(Buffer.from('{"v":1}'), undefined))).toBe("badKey");
  });

  it("holds text within bounds", () => {
    const text = compile({ fields: { name: { type: "string" } } });
    expect(text({ name: "" })).toMatchObject({ values: [""] });
    expect(reason(text({ name: "x".repeat(1025) }))).toBe("tooLong:name");
  });
});

describe("a scalar payload", () => {
  const parse = compile({ format: "scalar", fields: { temperature } });

  it.each<[Input, unknown]>([
    ["21.5", 21.5],
    [" 21.5\n", 21.5],
    ["-4e1", -40],
    ["+.5", 0.5],
    ["5.", 5],
  ])("says a number: %j", (payload, value) => {
    expect(parse(payload)).toMatchObject({ ok: true, values: [value] });
  });

  it.each<[Input, string]>([
    ["", "empty"],
    ["  ", "missingField:temperature"],
    ["NaN", "wrongType:temperature"],
    ["Infinity", "wrongType:temperature"],
    ["0x15", "wrongType:temperature"],
    ["1,5", "wrongType:temperature"],
    ["21 C", "wrongType:temperature"],
    ['"21"', "wrongType:temperature"],
    ["1e999", "notFinite:temperature"],
    ["1e3", "outOfRange:temperature"],
    [`1${"0".repeat(100)}`, "wrongType:temperature"],
    [Buffer.from([0xc3, 0x28]), "notUtf8"],
  ])("is refused: %j", (payload, expected) => {
    expect(reason(parse(payload))).toBe(expected);
  });

  it("says yes or no", () => {
    const flag = compile({ format: "scalar", fields: { on: { type: "boolean" } } });
    expect(["true", "0", "False"].map((text) => flag(text))).toMatchObject([
      { values: [true] },
      { values: [false] },
      { values: [false] },
    ]);
    expect(reason(flag("maybe"))).toBe("wrongType:on");
  });

  it("has one field and no key or time of its own", () => {
    expect(() => compile({ format: "scalar", fields: { a: {}, b: {} } })).toThrow(
      expect.objectContaining({ code: "SOURCE_FORMAT" }),
    );
    expect(() => compile({ format: "scalar", key: { path: "k" }, fields: { a: {} } })).toThrow(
      expect.objectContaining({ code: "SOURCE_FORMAT" }),
    );
  });
});

describe("a CSV payload", () => {
  const csv = { format: "csv", separator: ";", header: ["time", "pump", "value", "note"] };
  const fields = { value: temperature, note: { type: "string", missing: "null" } };
  const parse = compile({ ...csv, key: { path: "pump" }, timestamp: { column: "time", unit: "s" }, fields });

  it("is one row", () => {
    expect(parse("1700000000.5;p1;21.5;fine\r\n")).toEqual({
      ok: true,
      key: "p1",
      eventId: undefined,
      timeMs: 1_700_000_000_500,
      values: [21.5, "fine"],
    });
    expect(parse('1700000000; p1 ;21.5;"a;b ""c"""')).toMatchObject({ key: "p1", values: [21.5, 'a;b "c"'] });
    expect(parse("1700000000;p1;21.5;")).toMatchObject({ ok: true, values: [21.5, undefined] });
  });

  it.each([
    ["1700000000;p1;21.5", "badCsv"],
    ["1700000000;p1;21.5;a;b", "badCsv"],
    ["1700000000;p1;21.5;a\n1700000001;p1;21.5;a", "badCsv"],
    ['1700000000;p1;21.5;"a', "badCsv"],
    ['1700000000;p1;21.5;"a"b', "badCsv"],
    ['1700000000;p1;21.5;a"b', "badCsv"],
    ["1700000000;;21.5;a", "missingKey"],
    [";p1;21.5;a", "missingTimestamp"],
    ["soon;p1;21.5;a", "badTimestamp"],
    ["1700000000;p1;;a", "missingField:value"],
    ["1700000000;p1;hot;a", "wrongType:value"],
    ["1700000000;p1;1e999;a", "notFinite:value"],
    ["1700000000;p1;999;a", "outOfRange:value"],
  ])("is refused: %j", (payload, expected) => {
    expect(reason(parse(payload))).toBe(expected);
  });

  it("may be read by numbers of columns, without a header", () => {
    const plain = compile({ format: "csv", fields: { a: { column: 2 }, b: { column: 0 } } });
    expect(plain("1,2,3")).toMatchObject({ values: [3, 1] });
    expect(reason(plain("1,2"))).toBe("missingField:a");
  });

  it("does not name columns that are not there", () => {
    expect(() => compile({ ...csv, fields: { a: { column: "speed" } } })).toThrow(
      expect.objectContaining({ code: "SOURCE_COLUMN", hint: expect.stringContaining("value") }),
    );
  });
});

describe("any bytes at all", () => {
  const sources = [
    compile(
      { key: { path: "k" }, timestamp: { path: "t", unit: "iso8601" }, fields: { a: {}, b: { type: "string" } } },
      { eventIdPath: "id" },
    ),
    compile({ format: "csv", fields: { a: { column: 0 }, b: { column: 1, type: "integer" } } }),
    compile({ format: "scalar", fields: { a: { type: "boolean" } } }),
  ];
  const value = fc.oneof(
    fc.double(),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.constantFrom("1e999", "NaN", "2024-01-01T00:00:00Z"),
  );
  const payloads = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: "binary", maxLength: 100 }).map((text) => Buffer.from(text)),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .record({ a: value, b: value, k: value, t: value, id: value }, { requiredKeys: [] })
      .map((object) => Buffer.from(JSON.stringify(object))),
    fc
      .array(fc.constantFrom("{", "}", "[", "]", '"', ":", ",", "1", "a", "\\", " "), { maxLength: 60 })
      .map((parts) => Buffer.from(parts.join(""))),
  );

  it("are an event or are refused with a reason of the list, and nothing throws", () => {
    fc.assert(
      fc.property(payloads, fc.constantFrom(...sources), (payload, parse) => {
        const parsed = parse(payload);
        if (!parsed.ok) {
          expect(Object.keys(invalidReasons)).toContain(parsed.reason.split(":", 1)[0]);
          return;
        }
        expect(parsed.key.length).toBeGreaterThan(0);
        for (const one of parsed.values) if (typeof one === "number") expect(Number.isFinite(one)).toBe(true);
        if (parsed.timeMs !== undefined) expect(Number.isSafeInteger(parsed.timeMs)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  it("finds duplicate keys exactly where there are some", () => {
    const keys = fc.constantFrom("a", "b", "c", "d", 'q"', "x:", "é");
    const leaf = fc.oneof(fc.integer(), fc.constantFrom('"":"', ":", "a\\b"));
    type Node = { pairs: [string, Node][] } | { leaf: unknown };
    const { tree } = fc.letrec<{ tree: Node; object: Node }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 3 },
        leaf.map((one) => ({ leaf: one })),
        tie("object"),
      ),
      object: fc.record({ pairs: fc.array(fc.tuple(keys, tie("tree")), { maxLength: 4 }) }),
    }));
    const write = (node: Node): string =>
      "leaf" in node
        ? JSON.stringify(node.leaf)
        : `{${node.pairs.map(([key, below]) => `${JSON.stringify(key)} :${write(below)}`).join(", ")}}`;
    const hasTwice = (node: Node): boolean =>
      "pairs" in node &&
      (new Set(node.pairs.map(([key]) => key)).size < node.pairs.length ||
        node.pairs.some(([, below]) => hasTwice(below)));
    const parse = compile({ fields: { v: {} } });
    fc.assert(
      fc.property(tree, (node) => {
        expect(reason(parse(`{"v":1,"tree":${write(node)}}`))).toBe(hasTwice(node) ? "duplicateKey" : "ok");
      }),
      { numRuns: 2_000 },
    );
  });
});
