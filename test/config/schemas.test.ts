import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { jsonSchema, leaves, reference, secretPaths } from "../../config/describe.ts";
import { loadConfig } from "../../config/load.ts";
import { rootSchema, schemaTree } from "../../config/schema-tree.ts";
import { documents } from "../../scripts/docs/documents.ts";

const examples = join(import.meta.dirname, "../../config/examples");
/** Of gateways; the fleet's end has a file of its own. */
const exampleFiles = readdirSync(examples, { recursive: true, encoding: "utf8" }).filter(
  (name) => name.endsWith(".yaml") && !name.endsWith("holdfast-fleet.yaml"),
);

/** All schemas in a schema, once each. */
function* schemasIn(schema: z.core.$ZodType, seen = new Set<z.core.$ZodType>()): Generator<z.ZodType> {
  if (seen.has(schema)) return;
  seen.add(schema);
  yield schema as z.ZodType;
  const { innerType, shape, valueType, element, options } = schema._zod.def as unknown as Record<string, unknown> & {
    shape?: object;
  };
  for (const part of [
    innerType,
    valueType,
    element,
    ...Object.values(shape ?? {}),
    ...((options as unknown[]) ?? []),
  ]) {
    if (part !== undefined && typeof part === "object" && part !== null)
      yield* schemasIn(part as z.core.$ZodType, seen);
  }
}

describe("the schemas", () => {
  it("describe each setting and give an example of it", () => {
    const silent = [...leaves(schemaTree(), "")].filter(([path, node]) => {
      const isKind = node.const !== undefined;
      const isEntry = path.endsWith("[]") || path.endsWith("*");
      return !isKind && !isEntry && (node.description === undefined || (node.examples ?? []).length === 0);
    });
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  it("accept each of their own examples", () => {
    let count = 0;
    for (const schema of schemasIn(rootSchema)) {
      for (const example of (schema.meta()?.["examples"] as unknown[] | undefined) ?? []) {
        expect(schema.safeParse(example), JSON.stringify(example)).toMatchObject({ success: true });
        count += 1;
      }
    }
    expect(count).toBeGreaterThan(100);
  });

  it("say the unit in the sentence of each number whose key has one", () => {
    const units: readonly (readonly [RegExp, RegExp])[] = [
      [/Seconds$/, /second/],
      [/Days$/, /days/],
      [/Bytes$/, /bytes/],
      [/Ms$/, /millisecond/],
      [/Mb$/, /MB/],
    ];
    for (const [path, node] of leaves(schemaTree(), "")) {
      const unit = units.find(([key]) => key.test(path))?.[1];
      if (unit !== undefined) expect(node.description, path).toMatch(unit);
    }
  });

  it("know what is never shown", () => {
    expect(secretPaths()).toEqual(["people.*.tokenHash"]);
  });
});

describe("what is made of the schemas", () => {
  it("accepts the example files, as an editor would", () => {
    const schema = z.fromJSONSchema(jsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
    expect(exampleFiles.length).toBeGreaterThan(0);
    for (const name of exampleFiles) {
      expect(schema.safeParse(parse(readFileSync(join(examples, name), "utf8"))), name).toMatchObject({
        success: true,
      });
    }
  });

  it("refuses what the loader refuses: a misspelt key", () => {
    const schema = z.fromJSONSchema(jsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
    expect(schema.safeParse({ devise: {} }).success).toBe(false);
  });

  it("has a row for each setting", () => {
    const text = reference();
    for (const [path] of leaves(schemaTree(), "")) {
      // The two forms of `open` are named in its own row.
      if (path.startsWith("agents.*.open.")) continue;
      const last =
        path
          .split(/[.*]|\[\]/)
          .filter((part) => part !== "")
          .at(-1) ?? "";
      expect(text, path).toMatch(new RegExp(`\`(\\w+\\.)*${last}\``));
    }
  });
});

describe("the generated documents", () => {
  for (const { path, render } of documents) {
    it(`${path} is what the sources make: npm run docs`, async () => {
      expect(readFileSync(join(import.meta.dirname, "../..", path), "utf8")).toBe(await render());
    });
  }
});

describe("each example", () => {
  for (const name of exampleFiles) {
    it(`${name} loads, and points editors to the schema`, () => {
      const file = join(examples, name);
      expect(loadConfig({ file, environment: {} })).toMatchObject({ ok: true });
      const [, schema] = /^# yaml-language-server: \$schema=(\S+)/.exec(readFileSync(file, "utf8")) ?? [];
      expect(join(file, "..", schema ?? "")).toBe(join(examples, "../holdfast.schema.json"));
    });
  }
});
