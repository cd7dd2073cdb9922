import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { loadConfig } from "../../config/load.ts";
import { errorSections, render } from "../../scripts/docs/errors-page.ts";
import { read, repositoryFiles, root } from "./sources.ts";

interface Block {
  readonly at: string;
  readonly text: string;
}

/** The fenced YAML of every page, with the place where it stands. */
function yamlBlocks(path: string): Block[] {
  const { text } = read(path);
  return [...text.matchAll(/^( *)```ya?ml\n([\s\S]*?)^ *```/gm)].map((found) => ({
    at: `${path}:${text.slice(0, found.index).split("\n").length}`,
    text: (found[2] ?? "").replaceAll(new RegExp(`^${found[1]}`, "gm"), ""),
  }));
}

function mistakes(block: Block): string[] {
  const broken = parseAllDocuments(block.text).flatMap((document) =>
    document.errors.map((error) => `${block.at}: ${error.message}`),
  );
  if (broken.length > 0 || !/^schemaVersion:/m.test(block.text)) return broken;
  // A whole file: it has to be one that the daemon would take.
  const folder = mkdtempSync(join(tmpdir(), "holdfast-page-"));
  try {
    const file = join(folder, "holdfast.yaml");
    writeFileSync(file, block.text);
    const loaded = loadConfig({ file, environment: {} });
    return loaded.ok ? [] : loaded.problems.map((problem) => `${block.at}+${problem.line}: ${problem.message}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the documentation", () => {
  test("lists every error code with its sentence, and no other", () => {
    const page = readFileSync(join(root, "docs/errors.md"), "utf8");
    expect(page === render(), "docs/errors.md is not up to date: run `npm run docs`").toBe(true);
    const tables = repositoryFiles().filter((path) =>
      /^(?:config|models|sync|daemon|fleet)\/(?:.+\/)?errors\.ts$/.test(path),
    );
    expect(errorSections.map((section) => section.file).sort()).toEqual(tables.sort());
  });

  test("gives a code to one error only, and each a whole sentence", () => {
    const codes = errorSections.flatMap((section) => Object.keys(section.errors));
    expect(codes.filter((code, at) => codes.indexOf(code) !== at)).toEqual([]);
    const entries = errorSections.flatMap((section) => Object.entries(section.errors));
    expect(
      entries.filter(([code, sentence]) => !/^[A-Z][A-Z0-9_]+$/.test(code) || !/^[A-Z].*\.$/.test(sentence)),
    ).toEqual([]);
  });

  test("shows no YAML that would not load", () => {
    const pages = repositoryFiles().filter((path) => path.endsWith(".md"));
    expect(pages.flatMap(yamlBlocks).flatMap(mistakes)).toEqual([]);
    expect(mistakes({ at: "x", text: "a: [1\nb: 2" })).not.toEqual([]);
    expect(mistakes({ at: "x", text: "schemaVersion: 1\ndevcie: {}\n" })).toEqual([expect.stringContaining("devcie")]);
    expect(mistakes({ at: "x", text: "schemaVersion: 1\n" })).toEqual([]);
  });
});
