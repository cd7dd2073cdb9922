import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { withSection } from "../../config/edit.ts";

const FILE = `# The gateway in hall 2.
device:
  name: plant-7 # as on its label

bus: { kind: embedded, port: 1883 }

# What it looks at.
agents: {}
`;

describe("a section of a file", () => {
  test("is added behind what is there, with all comments kept", () => {
    expect(withSection(FILE, "fleet", { name: "north", tls: { ca: "ca.pem" } })).toBe(
      `${FILE}fleet:\n  name: north\n  tls:\n    ca: ca.pem\n`,
    );
  });

  test("that is there keeps the entries that are not set", () => {
    const before = `${FILE}# ours\nfleet:\n  name: south\n  budget: { bytesPerDay: 100000 } # the line is dear\n`;
    expect(withSection(before, "fleet", { name: "north", brokers: ["mqtts://a:1"] })).toBe(
      `${FILE}# ours\nfleet:\n  name: north\n  budget: { bytesPerDay: 100000 } # the line is dear\n  brokers:\n    - mqtts://a:1\n`,
    );
  });

  test("is made in an empty file, in JSON and where its name has no value, and not where the text is no map", () => {
    expect(withSection("", "fleet", { name: "north" })).toBe("fleet:\n  name: north\n");
    expect(withSection("# none yet\nfleet:\n", "fleet", { name: "north" })).toBe("# none yet\nfleet:\n  name: north\n");
    expect(parse(withSection('{"device":{"name":"a"}}', "fleet", { name: "north" }) ?? "")).toEqual({
      ...{ device: { name: "a" }, fleet: { name: "north" } },
    });
    expect(withSection("- a\n", "fleet", {})).toBeUndefined();
    expect(withSection("a: [\n", "fleet", {})).toBeUndefined();
  });

  test("keeps long lines as they are", () => {
    const long = `text: ${"word ".repeat(60).trim()}\n`;
    expect(withSection(long, "fleet", { name: "north" })).toBe(`${long}fleet:\n  name: north\n`);
  });
});
