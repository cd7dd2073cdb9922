import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type CatalogueCheck, catalogue, checkIds, groupOf, groups } from "../../../daemon/doctor/catalogue.ts";
import { ok, problem, skipped } from "../../../daemon/doctor/finding.ts";
import { allTracks } from "../../../daemon/doctor/tracks.ts";
import { render } from "../../../scripts/docs/doctor-page.ts";
import { read, root, sources } from "../../conventions/sources.ts";

describe("the catalogue", () => {
  test("names each check by its group, and each is told by exactly one look", () => {
    expect(checkIds.filter((id) => !groups.includes(groupOf(id)))).toEqual([]);
    const told = allTracks()
      .flat(2)
      .flatMap(({ tells }) => tells);
    expect([...told].sort()).toEqual([...checkIds].sort());
  });

  test("has no problem that nothing can find", () => {
    const text = sources("daemon")
      .filter(({ path }) => path.startsWith("daemon/doctor/") && !path.includes("catalogue"))
      .map(({ text: source }) => source)
      .join("\n");
    const unused = Object.values(catalogue as Record<string, CatalogueCheck>).flatMap(({ problems }) =>
      Object.keys(problems).filter((name) => !text.includes(`"${name}"`)),
    );
    expect(unused).toEqual([]);
  });

  test("says in one sentence what to do", () => {
    const all = Object.values(catalogue as Record<string, CatalogueCheck>).flatMap(({ problems }) =>
      Object.values(problems),
    );
    expect(all.length).toBeGreaterThan(50);
    const bad = all.filter(({ todo }) => !/^[A-Z]/.test(todo) || /\.\s+[A-Z]/.test(todo) || todo.length > 260);
    expect(bad).toEqual([]);
  });

  test("is what docs/doctor.md says", () => {
    expect(readFileSync(join(root, "docs/doctor.md"), "utf8")).toBe(render());
    expect(read("docs/install.md").text).toContain("doctor.md");
  });

  test("fills in what to do, and refuses to leave a hole in it", () => {
    const told = { found: "x", expected: "y", values: { range: ">=20" } };
    expect(problem("machine.node", "unsupported", told)).toEqual({
      ...{ check: "machine.node", level: "error", problem: "unsupported", found: "x", expected: "y" },
      todo: "Install the package, which brings its own Node.js, or run a version >=20.",
    });
    expect(() => problem("machine.node", "unsupported", { found: "x", expected: "y" })).toThrow("{range}");
    expect(ok("machine.node", "v20")).toEqual({ check: "machine.node", level: "ok", found: "v20" });
    expect(skipped("machine.node", "why", "what").subject).toBe("what");
  });
});
