import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../config/load.ts";
import { agentText, loadText, written } from "./workspace.ts";

function wellTold(result: ReturnType<typeof loadConfig>): void {
  if (result.ok) return;
  expect(result.problems.length).toBeGreaterThan(0);
  for (const { line, column, message } of result.problems) {
    expect(line).toBeGreaterThanOrEqual(1);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(message).not.toMatch(/Invalid input|Unrecognized|undefined|\[object/);
  }
}

describe("any text", () => {
  it("is loaded or refused with places, and never throws", () => {
    const yamlish = fc.array(
      fc.constantFrom(
        "agents",
        "bus",
        "device",
        ":",
        ": ",
        "\n",
        "  ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "*a",
        "&a ",
        "!t ",
        "'",
        '"',
        "|",
        ">",
        "#",
        "? ",
        "1",
        "null",
        "<<",
        "---\n",
        "\t",
        "__proto__",
        "kind",
        "mqtt",
        ",",
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          yamlish.map((parts) => parts.join("")),
          fc.string({ unit: "binary", maxLength: 200 }),
        ),
        (text) => {
          wellTold(loadText(text));
        },
      ),
      { numRuns: 400 },
    );
  });

  it("is refused well when a good file has any value anywhere replaced", () => {
    const folder = join(import.meta.dirname, "../../config/examples");
    const [example] = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".yaml"))
      .sort();
    const lines = (example === undefined ? agentText : readFileSync(join(folder, example), "utf8")).split("\n");
    const values = fc.constantFrom(
      "null",
      "[]",
      "{}",
      "-1",
      "1e400",
      '""',
      "true",
      "{ a: [1] }",
      "[[1]]",
      "x: y",
      ".nan",
      "'",
      "*x",
    );
    fc.assert(
      fc.property(fc.nat(lines.length - 1), values, (at, value) => {
        const changed = lines.map((line, index) => (index === at ? line.replace(/: .*|:$/, `: ${value}`) : line));
        wellTold(loadText(changed.join("\n")));
      }),
      { numRuns: 300 },
    );
  });

  it("is refused well when a key anywhere gets any value of JSON", () => {
    const key = fc.constantFrom(
      "schemaVersion",
      "device",
      "people",
      "bus",
      "store",
      "hosts",
      "admission",
      "programs",
      "endpoints",
      "agents",
      "models",
      "tools",
      "policy",
    );
    fc.assert(
      fc.property(fc.dictionary(key, fc.jsonValue({ maxDepth: 4 })), (value) => {
        wellTold(loadConfig({ file: written({ "holdfast.yaml": JSON.stringify(value) }), environment: {} }));
      }),
      { numRuns: 300 },
    );
  });
});
