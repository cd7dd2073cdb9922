import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { z } from "zod";
import { leaves } from "../../config/describe.ts";
import { fleetServerSchema, loadFleetServer } from "../../config/fleet-server.ts";
import type { SchemaNode } from "../../config/schema-tree.ts";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "holdfast-fleet-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(text: string) {
  const file = join(folder, "holdfast-fleet.yaml");
  writeFileSync(file, text);
  return loadFleetServer(file);
}

test("the example loads, and relative paths mean its folder", () => {
  const loaded = loadFleetServer(join(root, "config/examples/fleet/holdfast-fleet.yaml"));
  expect(loaded).toMatchObject({ ok: true, baseDirectory: join(root, "config/examples/fleet") });
  expect(loaded.ok && loaded.config).toMatchObject({ fleet: "north", collector: { clients: 4, queue: 256 } });
});

test("two lines are enough: records are in an embedded database beside the file", () => {
  const loaded = load('fleet: north\nbrokers: ["mqtts://broker.fleet.example:8883"]\n');
  expect(loaded.ok && loaded.config).toMatchObject({
    ...{ database: "pglite://.holdfast-fleet/database", keyFile: ".holdfast-fleet/collector.key" },
    retention: { decisionsDays: 730, quietDays: 90, telemetryDays: 365 },
  });
});

test("every mistake is told with its place, and what was meant", () => {
  const loaded = load("fleet: no.dots\nbrokers: []\nretenton: {}\ncollector: { clients: 0 }\n");
  const places = loaded.ok ? [] : loaded.problems.map((one) => `${one.line}:${one.column} ${one.path}`);
  expect(places).toEqual(["1:8 fleet", "2:10 brokers", "3:1 retenton", "4:23 collector.clients"]);
  expect(loaded.ok ? [] : loaded.problems.map((one) => one.hint)).toContain('Did you mean "retention"?');
});

test("a file that is not there is a mistake too", () => {
  expect(loadFleetServer(join(folder, "nowhere.yaml"))).toMatchObject({ ok: false });
});

test("each setting is described, has an example, and stands in the reference", () => {
  const tree = z.toJSONSchema(fleetServerSchema, { io: "input", target: "draft-7" }) as SchemaNode;
  const page = readFileSync(join(root, "docs/fleet-configuration.md"), "utf8");
  const all = [...leaves(tree, "")];
  expect(all.length).toBeGreaterThan(10);
  for (const [path, node] of all) {
    expect(node.description, path).toMatch(/\.$/);
    expect(node.examples ?? [], path).not.toEqual([]);
    expect(page, path).toContain(`\`${path}\``);
  }
});
