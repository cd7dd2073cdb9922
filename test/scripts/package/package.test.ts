import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { loadConfig } from "../../../config/load.ts";
import { manPage } from "../../../scripts/package/man.ts";
import { syncsData } from "../../../scripts/package/modules.ts";
import { firstConfiguration } from "../../../scripts/package/tree.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const debian = join(root, "scripts/package/debian");
const folder = mkdtempSync(join(tmpdir(), "package-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the configuration that a fresh gateway gets loads, and keeps its data where the service may write", () => {
  const file = join(folder, "holdfast.yaml");
  writeFileSync(file, firstConfiguration(root));
  const loaded = loadConfig({ file, environment: {} });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  expect(loaded.config.gateway.store.directory).toBe("/var/lib/holdfast");
  expect(readFileSync(join(debian, "holdfast.service"), "utf8")).toContain("StateDirectory=holdfast\n");
});

test("a manual page has each verb's own help, and nothing in it is taken for a request of roff", async () => {
  const help: Record<string, string> = {
    "--help":
      "Usage: tool [options] [command]\n\nDoes things.\n\nCommands:\n  run [options]   runs it\n  help [command]  help\n",
    "run --help": "Usage: tool run\n\n.dotted 'quoted' back\\slash\n'tis\n",
  };
  const page = await manPage("tool", "1.2.3", "2026-11-28", async (args) => help[args.join(" ")] ?? "none");
  expect(page).toContain('.TH TOOL 1 "2026-11-28" "tool 1.2.3"');
  expect(page).toContain("tool \\- Does things\n");
  expect(page).toContain(".SS tool run\n.nf\nUsage: tool run\n\n\\&.dotted 'quoted' back\\eslash\n\\&'tis\n.fi");
  expect(page).not.toContain(".SS tool help");
});

test("a library that looks up fdatasync is told from one that has only fsync", () => {
  expect(syncsData(Buffer.from("libc.so.6\0fsync\0fdatasync\0"))).toBe(true);
  expect(syncsData(Buffer.from("libc.so.6\0fsync\0my_fdatasync\0"))).toBe(false);
});

test("each drop-in is told in their README, and is one that systemd reads", () => {
  const readme = readFileSync(join(debian, "drop-ins/README.md"), "utf8");
  for (const name of readdirSync(join(debian, "drop-ins")).filter((one) => one.endsWith(".conf"))) {
    expect(readme).toContain(`\`${name}\``);
    expect(readFileSync(join(debian, "drop-ins", name), "utf8")).toMatch(/^\[Service\]\n(?:(?:#.*|[A-Z]\w*=.*)\n)+$/);
  }
});
