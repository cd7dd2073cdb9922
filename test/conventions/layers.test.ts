import { describe, expect, test } from "vitest";
import { importsOf, type SourceFile, sources, targetOf } from "./sources.ts";

/** What each folder may import of ours. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  config: ["config"],
  models: ["config", "models"],
  sync: ["config", "sync"],
  daemon: ["config", "models", "sync", "daemon"],
  fleet: ["config", "sync", "fleet"],
  scripts: ["config", "models", "sync", "daemon", "fleet", "scripts"],
};

const files = sources(...Object.keys(MAY_IMPORT));

function layerBreaks(of: readonly SourceFile[]): string[] {
  return of.flatMap(importsOf).flatMap((found) => {
    const target = targetOf(found);
    const folder = found.from.split("/")[0] ?? "";
    if (target === undefined || MAY_IMPORT[folder]?.includes(target.split("/")[0] ?? "")) return [];
    return [`${found.from} imports ${target}`];
  });
}

/** Cycles among the imports that run when a file is loaded, each once. */
function cycles(of: readonly SourceFile[]): string[] {
  const graph = new Map<string, string[]>();
  for (const file of of) {
    const targets = importsOf(file).filter((found) => !found.isType && !found.isLazy && !isOnlyTypes(file, found.to));
    graph.set(
      file.path,
      targets.flatMap((found) => targetOf(found) ?? []),
    );
  }
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push([...trail.slice(at), path].join(" → "));
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

/** `import { type A, type B } from` is erased like `import type`. */
function isOnlyTypes(file: SourceFile, to: string): boolean {
  const lines = [...file.text.matchAll(/import\s+\{([^}]*)\}\s+from\s+["']([^"']+)["']/g)].filter(
    (found) => found[2] === to,
  );
  return (
    lines.length > 0 && lines.every((found) => (found[1] ?? "").split(",").every((name) => /^\s*(type\s|$)/.test(name)))
  );
}

describe("the layers", () => {
  test("import only what stands below them; models and sync never meet", () => {
    expect(files.length).toBeGreaterThan(50);
    expect(layerBreaks(files)).toEqual([]);
  });

  test("have no cycle of imports", () => {
    expect(cycles(files)).toEqual([]);
  });

  test("are told apart in whatever way an import is written", () => {
    const break1 = { path: "models/a.ts", text: 'import { x } from "../sync/records.ts";\n' };
    const break2 = { path: "config/a.ts", text: 'export {\n  x,\n  y,\n} from "../models/b.ts";\n' };
    const break3 = { path: "sync/deep/a.ts", text: 'const x = await import("../../models/b.ts");\n' };
    const break4 = { path: "daemon/a.ts", text: 'import type { X } from "../scripts/b.ts";\nimport "../test/c.ts";\n' };
    const fine = { path: "daemon/b.ts", text: 'import { x } from "../models/b.ts";\nimport y from "zod";\n' };
    expect(layerBreaks([break1, break2, break3, break4, fine])).toEqual([
      "models/a.ts imports sync/records.ts",
      "config/a.ts imports models/b.ts",
      "sync/deep/a.ts imports models/b.ts",
      "daemon/a.ts imports scripts/b.ts",
      "daemon/a.ts imports test/c.ts",
    ]);
  });

  test("may refer to each other's types in a circle or load each other later, and no more", () => {
    const a = { path: "daemon/a.ts", text: 'import { b } from "./b.ts";\n' };
    const b = { path: "daemon/b.ts", text: 'import { c } from "./c.ts";\nimport type { A } from "./a.ts";\n' };
    const c = { path: "daemon/c.ts", text: 'import { type A, type B } from "./a.ts";\n' };
    expect(cycles([a, b, c])).toEqual([]);
    expect(cycles([a, b, { ...c, text: 'const load = () => import("./a.ts");\n' }])).toEqual([]);
    expect(cycles([a, b, { ...c, text: 'import { a, type A } from "./a.ts";\n' }])).toEqual([
      "daemon/a.ts → daemon/b.ts → daemon/c.ts → daemon/a.ts",
    ]);
  });
});
