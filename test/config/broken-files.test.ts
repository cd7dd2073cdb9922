import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../config/load.ts";

type Told = readonly [place: string, path: string, message: string, hint?: string];

const fixtures = join(import.meta.dirname, "../fixtures/config");
const folder = join(fixtures, "broken");
/** What is told of each file: place, path, sentence, and a hint where there is one. Reviewed as documentation. */
const expected = JSON.parse(readFileSync(join(fixtures, "broken-files.json"), "utf8")) as Record<
  string,
  readonly Told[]
>;

describe("a broken configuration file", () => {
  it("is described for each one in the folder", () => {
    const names = readdirSync(folder).map((name) => name.replace(/\.yaml$/, ""));
    expect(names.sort()).toEqual(Object.keys(expected).sort());
    expect(names.length).toBeGreaterThanOrEqual(40);
  });

  for (const [name, told] of Object.entries(expected)) {
    it(`${name}: ${told[0]?.[2]}`, () => {
      const file = join(folder, `${name}.yaml`);
      const result = loadConfig({ file, environment: {} });
      const problems = result.ok ? [] : result.problems;
      const seen = problems.map((one) => {
        const { line, column, path, message, hint } = one;
        return [`${line}:${column}`, path, message, ...(hint === undefined ? [] : [hint])];
      });
      expect(seen).toEqual(told);
      expect(new Set(problems.map((one) => one.file))).toEqual(new Set([file]));
    });
  }
});
