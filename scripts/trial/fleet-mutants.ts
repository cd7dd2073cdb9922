import { type Mutant, mutantTrial } from "./mutants.ts";

const ROUNDS = 40;

const mutants: readonly Mutant[] = [
  {
    name: "what is acknowledged is not always stored",
    file: "fleet/storing.js",
    text: "const records = batches.flatMap((one) => one.records);",
    instead: "const records = batches.flatMap((one) => one.records).filter((one) => one.seq % 499 !== 0);",
    faults: ["lineCut", "collectorKilled"],
    oracle: "forgotten",
  },
  {
    name: "what was under way when the connection broke counts as delivered",
    file: "sync/uplink.js",
    text: "for (const one of this.#flights.abandon())\n            this.#giveBack(one);",
    instead:
      "for (const { next, lo, hi } of this.#flights.abandon()) { this.#outgoing.settled(next.epoch, next.stream, lo, hi); this.#keep(this.#outgoing.position(next.epoch, next.stream)); }",
    // Bytes that a slow or late line still holds when it is cut are gone for certain; each takes some seconds.
    faults: ["slow", "late"],
    times: 0.3,
    oracle: "forgotten",
  },
  {
    name: "a place is not unique",
    file: "fleet/schema.js",
    text: "body text NOT NULL,\n    PRIMARY KEY (gateway, epoch, stream, seq));\n  CREATE INDEX record_received",
    instead: "body text NOT NULL);\n  CREATE INDEX record_received",
    faults: ["diesAfterCommit"],
    times: 0.6,
    oracle: "twice",
  },
  {
    name: "another record is stored than the one that was sent",
    file: "fleet/storing.js",
    text: 'records.map((one) => one.hash.toString("hex")),\n        records.map((one) => one.body),',
    instead:
      'records.map((one) => (one.seq % 997 === 0 ? "00".repeat(16) : one.hash.toString("hex"))),\n        records.map((one) => one.body),',
    faults: ["lineCut"],
    oracle: "changed",
  },
  {
    name: "rows go without a word",
    file: "daemon/store/retention.js",
    text: 'tables.write(0, "drop", wallMs, (id) => dropBody(id, drop));',
    instead: "",
    faults: ["away"],
    times: 2,
    oracle: "lost",
  },
  {
    name: "times are not corrected",
    file: "fleet/schema.js",
    text: "SELECT s.wall_ms + (of_boot_ms - s.boot_ms)::bigint INTO at_ms",
    instead: "SELECT of_at_ms INTO at_ms",
    faults: ["wrongClock"],
    times: 0.2,
    oracle: "clock",
  },
  {
    name: "nobody looks whether two starts go on from the same one",
    file: "fleet/told.js",
    text: "(other.ordinal = mine.ordinal OR other.previous = mine.previous)",
    instead: "false",
    faults: ["cloned"],
    // Each of them keeps the name from its gateway for a minute or two.
    times: 0.05,
    oracle: "fork",
  },
];

/** The way to the fleet without one of its guards. */
export const trial = mutantTrial("fleet", mutants, ROUNDS);
