import fc from "fast-check";
import { expect, it } from "vitest";
import { coveringSet, filterIdentifier } from "../../../daemon/bus/covering.ts";
import { topicMatches } from "../../../daemon/sources/topics.ts";
import { filters, topics } from "../../support/topics.ts";

const wanted = fc.array(
  fc.record({ filter: filters, qos: fc.constantFrom(0 as const, 1 as const), retained: fc.boolean() }),
  { maxLength: 6 },
);

it("asks for exactly the topics that are wanted, with the highest wishes, and nothing twice", () => {
  fc.assert(
    fc.property(wanted, topics, (subscriptions, topic) => {
      const set = coveringSet(subscriptions);
      const asking = set.filter((one) => topicMatches(one.filter, topic));
      const wanting = subscriptions.filter((one) => topicMatches(one.filter, topic));
      expect(asking.length > 0).toBe(wanting.length > 0);
      if (wanting.some((one) => one.qos === 1)) expect(asking.some((one) => one.qos === 1)).toBe(true);
      if (wanting.some((one) => one.retained)) expect(asking.some((one) => one.retained)).toBe(true);
      if (asking.length > 1) expect(new Set(asking.map((one) => one.identifier)).size).toBe(asking.length);
      if (asking.length > 1) expect(asking.every((one) => one.identifier > 0)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

it("leaves out what another filter covers", () => {
  const subscription = { qos: 0 as const, retained: false };
  const set = coveringSet([
    { ...subscription, filter: "plant/a/t" },
    { ...subscription, filter: "plant/+/t", qos: 1 },
    { ...subscription, filter: "plant/+/t" },
    { ...subscription, filter: "other" },
  ]);
  expect(set).toEqual([
    { filter: "plant/+/t", qos: 1, retained: false, identifier: 0 },
    { filter: "other", qos: 0, retained: false, identifier: 0 },
  ]);
});

it("gives identifiers that MQTT allows", () => {
  fc.assert(
    fc.property(fc.string(), (filter) => {
      const identifier = filterIdentifier(filter);
      expect(identifier).toBeGreaterThanOrEqual(1);
      expect(identifier).toBeLessThanOrEqual(268_435_455);
      expect(filterIdentifier(filter)).toBe(identifier);
    }),
  );
});
