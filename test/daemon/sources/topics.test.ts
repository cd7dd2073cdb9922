import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  covers,
  overlaps,
  parseTopicPattern,
  TopicCache,
  TopicTree,
  topicMatches,
} from "../../../daemon/sources/topics.ts";
import { filters, topics } from "../../support/topics.ts";

/** MQTT 5, 4.7, as a regular expression. */
function naive(filter: string, topic: string): boolean {
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
  const escaped = filter
    .split("/")
    .map((level) => (level === "+" ? "[^/]*" : level === "#" ? "#" : level.replace(/[$.*?()[\]\\^|{}]/g, "\\$&")));
  const source = escaped.join("/").replace(/\/#$/, "(/.*)?").replace(/^#$/, ".*");
  return new RegExp(`^${source}$`, "su").test(topic);
}

describe("matching", () => {
  it("finds for a topic what a plain reading of the standard finds", () => {
    fc.assert(
      fc.property(fc.array(filters, { maxLength: 8 }), topics, (all, topic) => {
        const tree = new TopicTree<number>();
        for (const [at, filter] of all.entries()) tree.add(filter, at);
        const expected = all.flatMap((filter, at) => (naive(filter, topic) ? [at] : []));
        expect(tree.match(topic).sort((a, b) => a - b)).toEqual(expected);
        expect(all.flatMap((filter, at) => (topicMatches(filter, topic) ? [at] : []))).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it("never finds a value twice for topics with wildcards in them", () => {
    const tree = new TopicTree<string>();
    tree.add("a/+/c", "one");
    tree.add("#", "two");
    expect(tree.match("a/+/c").sort()).toEqual(["one", "two"]);
    expect(tree.match("#")).toEqual(["two"]);
  });

  it("knows which filters cover and which overlap", () => {
    fc.assert(
      fc.property(filters, filters, topics, (one, two, topic) => {
        if (covers(one, two) && naive(two, topic)) expect(naive(one, topic)).toBe(true);
        if (naive(one, topic) && naive(two, topic)) expect(overlaps(one, two)).toBe(true);
        expect(overlaps(one, two)).toBe(overlaps(two, one));
        if (covers(one, two)) expect(overlaps(one, two)).toBe(true);
      }),
      { numRuns: 2000 },
    );
    expect(covers("a/#", "a")).toBe(true);
    expect(covers("a/+", "a/#")).toBe(false);
    expect(covers("#", "$SYS/#")).toBe(false);
    expect(overlaps("a/+/c", "a/b/+")).toBe(true);
    expect(overlaps("a/+/c", "a/b/d")).toBe(false);
  });
});

describe("patterns", () => {
  it("makes + of names and remembers their levels", () => {
    expect(parseTopicPattern("plant/{pump}/x/{sensor_2}/#")).toEqual({
      ok: true,
      pattern: {
        filter: "plant/+/x/+/#",
        names: [
          { name: "pump", level: 1 },
          { name: "sensor_2", level: 3 },
        ],
      },
    });
  });

  it.each([
    "",
    "a/#/b",
    "a/b#",
    "a+/b",
    "a/{b}c",
    "a/{}",
    "a/{b}/{b}",
    "a/{b-c}",
    "a\0b",
    "x/".repeat(70),
    "y".repeat(2000),
  ])("refuses %j with a reason", (text) => {
    expect(parseTopicPattern(text)).toMatchObject({ ok: false, reason: expect.stringMatching(/\w/) });
  });
});

describe("the cache", () => {
  it("stays within its bound and keeps what is used", () => {
    const cache = new TopicCache<number>(100);
    cache.set("hot", -1);
    for (let at = 0; at < 10_000; at += 1) {
      cache.set(`topic/${at}`, at);
      expect(cache.get("hot")).toBe(-1);
      expect(cache.size).toBeLessThanOrEqual(100);
    }
    cache.set("long".repeat(100), 1);
    expect(cache.get("long".repeat(100))).toBeUndefined();
  });
});
