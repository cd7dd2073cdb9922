import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";
import { type LoadedConfig, type LoadResult, loadConfig, type Problem } from "../../config/load.ts";

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-config-"));
  folders.push(folder);
  return folder;
}

/** Writes files into a new folder; `holdfast.yaml` is the main one. Returns its path. */
export function written(files: Readonly<Record<string, string | Buffer>>): string {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return join(folder, "holdfast.yaml");
}

export function loadText(text: string | Buffer, environment: Record<string, string> = {}): LoadResult {
  return loadConfig({ file: written({ "holdfast.yaml": text }), environment });
}

export function loaded(result: LoadResult): LoadedConfig {
  if (!result.ok)
    throw new Error(result.problems.map((one) => `${one.line}:${one.column} ${one.path}: ${one.message}`).join("\n"));
  return result;
}

export function problemsOf(result: LoadResult): readonly Problem[] {
  if (result.ok) throw new Error("the configuration was accepted");
  return result.problems;
}

/** The smallest agent: one field of one topic. */
export const agentText = `agents:
  pump:
    sources:
      - { kind: mqtt, topic: "plant/{pump}/t", key: pump, fields: { vibration: { unit: mm/s } } }
`;
