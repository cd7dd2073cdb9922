import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { leaves } from "../../../config/describe.ts";
import { schemaTree } from "../../../config/schema-tree.ts";
import { completion } from "../../../daemon/commands/completion.ts";
import type { Io } from "../../../fleet/commands/io.ts";
import { program as fleetProgram } from "../../../fleet/commands/program.ts";
import { manPage } from "../../../scripts/package/man.ts";
import { roff, settingsPages } from "../../../scripts/package/settings-man.ts";

const has = (command: string): boolean => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0;

async function fleetHelp(args: readonly string[]): Promise<string> {
  let text = "";
  const out = (part: string): void => {
    text += part;
  };
  const io: Io = { environment: {}, out, err: () => undefined, stop: new AbortController().signal };
  await fleetProgram(args, io);
  return text;
}

/** As a terminal shows it, and what the formatter found wrong. */
function formatted(page: string): { readonly text: string; readonly warnings: string } {
  const { stdout, stderr } = spawnSync("groff", ["-man", "-Tutf8", "-ww", "-Wbreak", "-P-cbou"], {
    input: page,
    encoding: "utf8",
  });
  return { text: stdout, warnings: stderr };
}

test("the manual pages of the files tell each setting by its name", () => {
  const [gateway, fleet] = settingsPages("1.2.3", "2026-11-28");
  expect(gateway?.text).toContain('.TH HOLDFAST.YAML 5 "2026-11-28" "holdfast 1.2.3"');
  expect(fleet?.text).toContain(".TH HOLDFAST-FLEET.YAML 5");
  for (const [path] of leaves(schemaTree(), "")) {
    const key = path.split(".").at(-1)?.replaceAll("[]", "") ?? "";
    if (key !== "*") expect(gateway?.text, path).toMatch(new RegExp(`(?:fB|\\W)${key}\\b`));
  }
});

test.skipIf(!has("groff") && !process.env["CI"])("a formatter finds nothing wrong with any manual page", async () => {
  const pages = settingsPages("1.2.3", "2026-11-28").map(({ text }) => text);
  pages.push(await manPage("holdfast-fleet", "1.2.3", "2026-11-28", fleetHelp));
  for (const page of pages) {
    const { text, warnings } = formatted(page);
    expect(warnings).toBe("");
    expect(text.length).toBeGreaterThan(1000);
    // What was meant as text and taken for a request would be gone.
    expect(text).toContain("SEE ALSO");
  }
  const { text } = formatted(pages[0] ?? "");
  expect(text).toMatch(/commitDelayMs\n\s+a whole number of milliseconds from 0 to 1000; default 25\n/);
});

test("what looks like a request or an escape in a reference stays text", () => {
  expect(roff("## a `b\\c`\n.holdfast 'tis\n| key | value | default | |\n|---|---|---|---|\n")).toBe(
    '.SH "a \\fBb\\ec\\fR"\n\\&.holdfast \'tis\n.PP\n',
  );
  expect(roff('| `k` | text | `x\\|y` | Example: `"q"` |')).toBe(
    '.TP\n\\fBk\\fR\ntext; default \\fBx|y\\fR\n.br\nExample: \\fB"q"\\fR\n',
  );
  expect(roff("≤ …")).toBe("\\[u2264] \\[u2026]\n");
  expect(roff("| `k` | text | **required** | |")).toBe(".TP\n\\fBk\\fR\ntext; required\n");
});

test("the fleet's completion knows each verb of its program, and shells take it", async () => {
  for (const shell of ["bash", "zsh"] as const) {
    const script = await completion("holdfast-fleet", shell, fleetHelp);
    for (const verb of ["serve", "gateways", "command", "support-bundle", "revoke", "acl"])
      expect(script).toMatch(new RegExp(`\\b${verb}\\) .*--`));
    expect(script).toContain("_holdfast_fleet");
  }
  const bash = await completion("holdfast-fleet", "bash", fleetHelp);
  const ask = `${bash}\nCOMP_WORDS=(holdfast-fleet re); COMP_CWORD=1; _holdfast_fleet; echo "\${COMPREPLY[@]}"`;
  expect(spawnSync("bash", ["-c", ask], { encoding: "utf8" }).stdout.trim()).toBe("revoke");
});
