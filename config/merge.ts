import type { Origins, PlacedFile } from "./places.ts";
import { placedIn } from "./places.ts";
import { atKey, type Problem } from "./problems.ts";
import { generationSections } from "./schema-tree.ts";

export interface ParsedFile extends PlacedFile {
  readonly value: Readonly<Record<string, unknown>>;
}

export interface Merged {
  readonly value: Record<string, unknown>;
  readonly lists: Origins["lists"];
  readonly problems: readonly Problem[];
}

/** Later files win, key by key. Agents, models and tools have one place each; lists of the policy follow each other. */
export function mergeFiles(files: readonly ParsedFile[]): Merged {
  const value: Record<string, unknown> = {};
  const lists: Record<string, { file: PlacedFile; index: number }[]> = {};
  const problems: Problem[] = [];
  const owners = new Map<string, ParsedFile>();
  for (const file of files) {
    for (const [section, content] of Object.entries(file.value)) {
      const before = value[section];
      if (generationSections.includes(section) && Array.isArray(content)) {
        value[section] = [...(Array.isArray(before) ? before : []), ...content];
        lists[section] = [...(lists[section] ?? []), ...content.map((_, index) => ({ file, index }))];
      } else if (generationSections.includes(section) && isMap(content)) {
        value[section] = { ...(isMap(before) ? before : {}), ...content };
        problems.push(...twice(file, section, content, owners));
      } else value[section] = isMap(before) && isMap(content) ? deepMerge(before, content) : content;
    }
  }
  return { value, lists, problems };
}

function twice(file: ParsedFile, section: string, content: object, owners: Map<string, ParsedFile>): Problem[] {
  return Object.keys(content).flatMap((name) => {
    const key = `${section}\0${name}`;
    const owner = owners.get(key);
    owners.set(key, file);
    if (owner === undefined) return [];
    const first = placedIn(owner, atKey([section, name], ""));
    const message = `"${name}" is there twice: here and at ${first.file}:${first.line}:${first.column}`;
    return [placedIn(file, atKey([section, name], message, "Keep one of the two, or give one another name."))];
  });
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function deepMerge(low: Record<string, unknown>, high: Record<string, unknown>): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...low };
  for (const [key, value] of Object.entries(high)) {
    const before = Object.hasOwn(merged, key) ? merged[key] : undefined;
    merged[key] = isMap(before) && isMap(value) ? deepMerge(before, value) : value;
  }
  return merged;
}
