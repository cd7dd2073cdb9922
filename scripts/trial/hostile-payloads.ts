import fc from "fast-check";

/** A payload that is no event, with the reason that it must be counted under. */
export interface Hostile {
  readonly topic: "hostile/json" | "hostile/scalar" | "hostile/csv";
  readonly payload: Buffer;
  readonly reason: string;
}

const MEGABYTE = 1_048_576;
const YEAR_MS = 365 * 86_400_000;

const text = (reason: string, payload: string): Hostile => ({
  topic: "hostile/json",
  payload: Buffer.from(payload),
  reason,
});
const bytes = (reason: string, payload: Buffer | readonly number[]): Hostile => ({
  topic: "hostile/json",
  payload: Buffer.from(payload as Buffer),
  reason,
});
const scalar = (reason: string, payload: string): Hostile => ({
  topic: "hostile/scalar",
  payload: Buffer.from(payload),
  reason,
});
const csv = (reason: string, payload: string): Hostile => ({
  topic: "hostile/csv",
  payload: Buffer.from(payload),
  reason,
});

/** An event with some members put in as they are, or left out. */
function event(members: Readonly<Record<string, string | undefined>>): string {
  const all = { id: undefined, key: '"k"', ts: String(Date.now()), vibration: "7.5", ...members };
  const pairs = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${JSON.stringify(name)}:${value}`],
  );
  return `{${pairs.join(",")}}`;
}

const field = (reason: string, value: string | undefined): Hostile => text(reason, event({ vibration: value }));

/** What people and broken programs send, and what they mean by it. */
export function handMade(): Hostile[] {
  const deep = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;
  return [
    text("empty", ""),
    scalar("empty", ""),
    csv("empty", ""),
    text("notJson", " "),
    text("notJson", "\u0000"),
    text("notJson", "{"),
    text("notJson", "hello"),
    text("notJson", "{'key': 1}"),
    text("notJson", '{"key":"k",}'),
    text("notJson", '{"key":"k"} {"key":"k"}'),
    text("notJson", `\ufeff${event({})}`),
    text("notJson", event({ vibration: "NaN" })),
    text("notJson", event({ vibration: "-Infinity" })),
    text("notJson", event({ vibration: "0x10" })),
    text("notJson", event({ vibration: "01" })),
    text("notJson", "[".repeat(100_000)),
    text("notJson", '{"a":'.repeat(50_000)),
    bytes("notUtf8", [0xff, 0xfe, 0x00]),
    bytes("notUtf8", [0xc3, 0x28]),
    bytes("notUtf8", [0xed, 0xa0, 0x80]),
    bytes("notUtf8", [0xf8, 0x88, 0x80, 0x80, 0x80]),
    bytes("notUtf8", Buffer.concat([Buffer.from(event({})), Buffer.from([0x80])])),
    bytes("notUtf8", Buffer.from([0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0])),
    bytes("notUtf8", Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a])),
    text("notAnObject", "null"),
    text("notAnObject", "7"),
    text("notAnObject", '"text"'),
    text("notAnObject", "[]"),
    text("notAnObject", `[${event({})}]`),
    text("tooDeep", event({ more: deep(40) })),
    text("tooDeep", event({ more: deep(100_000) })),
    text("tooDeep", `${'{"a":'.repeat(1000)}1${"}".repeat(1000)}`),
    text("forbiddenKey", event({ __proto: "1" }).replace("__proto", "__proto__")),
    text("forbiddenKey", event({ more: '{"__proto__":{"vibration":7}}' })),
    text("forbiddenKey", event({ more: '[{"\\u005f_proto__":1}]' })),
    text("duplicateKey", event({}).replace("{", '{"vibration":1,')),
    text("duplicateKey", event({}).replace("{", '{"\\u0076ibration":1,')),
    text("duplicateKey", event({ more: '{"a":1,"b":2,"a":3}' })),
    field("missingField:vibration", undefined),
    field("missingField:vibration", "null"),
    text("missingField:vibration", event({ vibration: undefined, constructor: "1", toString: "2" })),
    field("wrongType:vibration", '"NaN"'),
    field("wrongType:vibration", '"7.5"'),
    field("wrongType:vibration", "true"),
    field("wrongType:vibration", "[7.5]"),
    field("wrongType:vibration", '{"value":7.5}'),
    field("notFinite:vibration", "1e999"),
    field("notFinite:vibration", "-1e999"),
    field("notFinite:vibration", `1${"0".repeat(400)}`),
    field("outOfRange:vibration", "60.001"),
    field("outOfRange:vibration", "-1e-300"),
    field("outOfRange:vibration", "1e308"),
    text("missingTimestamp", event({ ts: undefined })),
    text("missingTimestamp", event({ ts: "null" })),
    text("badTimestamp", event({ ts: "-1" })),
    text("badTimestamp", event({ ts: '"yesterday"' })),
    text("badTimestamp", event({ ts: "1e999" })),
    text("badTimestamp", event({ ts: "9007199254740993000" })),
    text("futureTimestamp", event({ ts: String(Date.now() + YEAR_MS) })),
    text("missingKey", event({ key: undefined })),
    text("missingKey", event({ key: "null" })),
    text("badKey", event({ key: '""' })),
    text("badKey", event({ key: '"a\\u0000b"' })),
    text("badKey", event({ key: '"\\ud800"' })),
    text("badKey", event({ key: JSON.stringify("k".repeat(257)) })),
    text("badKey", event({ key: "1.5" })),
    text("badKey", event({ key: "{}" })),
    text("badEventId", event({ id: '""' })),
    text("badEventId", event({ id: JSON.stringify("i".repeat(129)) })),
    text("badEventId", event({ id: "[1]" })),
    text("tooLarge", event({ more: JSON.stringify("x".repeat(262_144)) })),
    text("tooLarge", event({ more: JSON.stringify("x".repeat(MEGABYTE)) })),
    scalar("missingField:vibration", "  \n"),
    scalar("wrongType:vibration", "NaN"),
    scalar("wrongType:vibration", "Infinity"),
    scalar("wrongType:vibration", "7,5"),
    scalar("wrongType:vibration", "0x10"),
    scalar("wrongType:vibration", '{"vibration":7}'),
    scalar("notFinite:vibration", "1e999"),
    scalar("outOfRange:vibration", "61"),
    { ...scalar("notUtf8", ""), payload: Buffer.from([0x37, 0xff]) },
    csv("badCsv", "1"),
    csv("badCsv", '"open,7.5'),
    csv("badCsv", "1,2,3,4,5,6,7"),
    csv("wrongType:vibration", `${Date.now()},hello`),
    csv("missingField:vibration", `${Date.now()},`),
    csv("notFinite:vibration", `${Date.now()},1e999`),
    csv("outOfRange:vibration", `${Date.now()},-1`),
    csv("badTimestamp", "soon,7"),
    csv("missingTimestamp", ",7"),
    { ...csv("notUtf8", ""), payload: Buffer.from([0x37, 0xff]) },
  ];
}

/** Ten megabytes of event: larger than any that is let through, smaller than what cuts a sensor off. */
export function tenMegabytes(): Hostile {
  return text("tooLarge", event({ more: JSON.stringify("x".repeat(10 * MEGABYTE)) }));
}

const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value));
const harmlessJson = json.filter((made) => !made.includes("__proto__"));
const isJson = (made: string): boolean => {
  try {
    JSON.parse(made);
    return true;
  } catch {
    return false;
  }
};
const anyText = fc.string({ unit: "binary", maxLength: 200 });
const notANumber = fc.oneof(fc.string(), fc.boolean(), fc.array(fc.double()), fc.dictionary(fc.string(), fc.integer()));

/** Payloads without end, each wrong in a way that is known from how it was made. */
const made: fc.Arbitrary<Hostile> = fc.oneof(
  fc.uint8Array({ maxLength: 400 }).map((some) => bytes("notUtf8", Buffer.concat([some, Buffer.from([0xff])]))),
  anyText.filter((some) => some.length > 0 && !isJson(some)).map((some) => text("notJson", some)),
  fc.tuple(harmlessJson, fc.double({ min: 0.01, max: 0.99, noNaN: true })).map(([more, share]) => {
    const whole = event({ more });
    return text("notJson", whole.slice(0, Math.max(1, Math.floor(whole.length * share))));
  }),
  json.filter((some) => !some.startsWith("{")).map((some) => text("notAnObject", some)),
  fc
    .integer({ min: 40, max: 4000 })
    .map((levels) => text("tooDeep", event({ more: `${"[".repeat(levels)}${"]".repeat(levels)}` }))),
  json.map((some) => text("forbiddenKey", event({ more: `[{"__proto__":${some}}]` }))),
  fc
    .tuple(
      fc.string().filter((name) => name !== "__proto__"),
      harmlessJson,
      harmlessJson,
    )
    .map(([name, one, other]) => {
      const key = JSON.stringify(name);
      return text("duplicateKey", event({ more: `{${key}:${one},${key}:${other}}` }));
    }),
  harmlessJson.map((more) => text("missingField:vibration", event({ vibration: undefined, more }))),
  notANumber
    .map((value) => JSON.stringify(value))
    .filter((value) => !value.includes("__proto__"))
    .map((value) => field("wrongType:vibration", value)),
  fc
    .tuple(fc.integer({ min: 310, max: 99_999 }), fc.boolean())
    .map(([power, isNegative]) => field("notFinite:vibration", `${isNegative ? "-" : ""}1e${power}`)),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .filter((value) => value < 0 || value > 60)
    .map((value) => field("outOfRange:vibration", JSON.stringify(value))),
  fc
    .oneof(fc.string(), fc.boolean(), fc.double({ max: -1, noNaN: true, noDefaultInfinity: true }), fc.constant([]))
    .map((value) => text("badTimestamp", event({ ts: JSON.stringify(value) }))),
  fc
    .integer({ min: 2, max: 60 })
    .map((years) => text("futureTimestamp", event({ ts: String(Date.now() + years * YEAR_MS) }))),
  fc
    .oneof(fc.string({ minLength: 257, maxLength: 600 }), fc.boolean(), fc.constant(""), fc.constant("a\u007f"))
    .map((value) => text("badKey", event({ key: JSON.stringify(value) }))),
  fc
    .oneof(fc.string({ minLength: 129, maxLength: 600 }), fc.boolean(), fc.constant(""), fc.constant([1]))
    .map((value) => text("badEventId", event({ id: JSON.stringify(value) }))),
  anyText
    .filter((some) => !/^\s*[+-]?[\d.]/.test(some) && some.trim() !== "")
    .map((some) => scalar("wrongType:vibration", some)),
  fc
    .array(fc.stringMatching(/^[a-z0-9]{0,9}$/), { minLength: 4, maxLength: 9 })
    .map((cells) => csv("badCsv", cells.join(","))),
);

/** `count` payloads, the same ones for the same seed. */
export function generated(count: number, seed: number): Hostile[] {
  return fc.sample(made, { numRuns: count, seed });
}
