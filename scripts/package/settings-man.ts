import { configurationReference } from "../docs/configuration.ts";
import { render as fleetConfiguration } from "../docs/fleet-configuration.ts";
import { escaped } from "./man.ts";

/** Manual pages of the configuration files, from the same schemas as the references in docs. */
export function settingsPages(version: string, date: string): { readonly name: string; readonly text: string }[] {
  return [
    ["holdfast.yaml", "what a gateway is told to do", configurationReference()],
    ["holdfast-fleet.yaml", "the configuration of the fleet's end", fleetConfiguration()],
  ].map(([name = "", purpose = "", markdown = ""]) => ({
    name,
    text: `.TH ${name.toUpperCase()} 5 "${date}" "holdfast ${version}" "Holdfast"
.SH NAME
${name} \\- ${escaped(purpose)}
.SH DESCRIPTION
${roff(markdown)}.SH SEE ALSO
holdfast(1), holdfast\\-fleet(1), /usr/share/doc/holdfast/docs
`,
  }));
}

/** As much of Markdown as the references use: headings, lists, tables, code blocks, code and bold. */
export function roff(markdown: string): string {
  const lines = markdown.replace(/^<!--.*-->\n# .*\n/, "").split("\n");
  let isCode = false;
  let text = "";
  for (const line of lines) {
    if (line.startsWith("```")) {
      text += isCode ? ".EE\n.RE\n" : ".PP\n.RS 4\n.EX\n";
      isCode = !isCode;
    } else text += isCode ? `${escaped(line)}\n` : lineOf(line);
  }
  return text;
}

function lineOf(line: string): string {
  if (line === "") return ".PP\n";
  if (line.startsWith("### ")) return `.SS ${quoted(line.slice(4))}\n`;
  if (line.startsWith("## ")) return `.SH ${quoted(line.slice(3))}\n`;
  if (line.startsWith("- ")) return `.IP \\(bu 2\n${inline(line.slice(2))}\n`;
  if (line.startsWith("|")) return rowOf(line);
  return `${inline(line.trim())}\n`;
}

/** A row is a term with what there is to say of it; heads of tables say nothing that the reader does not see. */
function rowOf(line: string): string {
  const cells = line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
  const [term = "", ...rest] = cells;
  if (!term.startsWith("`")) return "";
  if (rest.length === 1) return `.TP\n${inline(term)}\n${inline(rest[0] ?? "")}\n`;
  const [expected = "", fallback = "", meaning = ""] = rest;
  const due = fallback === "" ? "" : fallback.startsWith("**") ? "; required" : `; default ${inline(fallback)}`;
  const told = meaning === "" ? "" : `.br\n${inline(meaning)}\n`;
  return `.TP\n${inline(term)}\n${inline(expected)}${due}\n${told}`;
}

function inline(text: string): string {
  return escaped(text)
    .replaceAll(/`([^`]*)`/g, "\\fB$1\\fR")
    .replaceAll(/\*\*([^*]*)\*\*/g, "\\fB$1\\fR")
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
}

/** A request's argument ends at a blank unless it is quoted. */
function quoted(text: string): string {
  return `"${inline(text).replaceAll('"', "\\(dq")}"`;
}
