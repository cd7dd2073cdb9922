import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { completion } from "../../daemon/commands/completion.ts";
import type { Io } from "../../daemon/commands/io.ts";
import { program as gateway } from "../../daemon/commands/program.ts";
import { manPage } from "./man.ts";
import { run } from "./run.ts";
import { type Architecture, nodeName, nodeVersion } from "./runtime.ts";
import { settingsPages } from "./settings-man.ts";
import { put, write } from "./tree.ts";

const DOC = "usr/share/doc/holdfast";
const LICENCE = /^(?:licen[cs]e|copying|notice)/i;

export interface About {
  readonly root: string;
  /** Has package.json and its lock file, with the modules installed. */
  readonly stage: string;
  readonly node: string;
  readonly architecture: Architecture;
  readonly version: string;
  readonly epochSeconds: number;
}

/** What people and their tools read: man pages, completions, documentation, licences, the list of parts. */
export async function layAbout(about: About, to: string): Promise<void> {
  const { root, version, epochSeconds } = about;
  const date = new Date(epochSeconds * 1000).toISOString().slice(0, 10);
  const compressed = (path: string, text: string): void => write(join(to, path), gzipSync(text, { level: 9 }));
  const fleet = async (args: readonly string[]): Promise<string> =>
    run(process.execPath, [join(root, "dist/fleet/main.js"), ...args]);
  compressed("usr/share/man/man1/holdfast.1.gz", await manPage("holdfast", version, date, said));
  compressed("usr/share/man/man1/holdfast-fleet.1.gz", await manPage("holdfast-fleet", version, date, fleet));
  for (const page of settingsPages(version, date)) compressed(`usr/share/man/man5/${page.name}.5.gz`, page.text);
  for (const [name, help] of [["holdfast", said] as const, ["holdfast-fleet", fleet] as const]) {
    write(join(to, "usr/share/bash-completion/completions", name), await completion(name, "bash", help));
    write(join(to, "usr/share/zsh/vendor-completions", `_${name}`), await completion(name, "zsh", help));
  }
  cpSync(join(root, "docs"), join(to, DOC, "docs"), { recursive: true });
  compressed(`${DOC}/changelog.gz`, readFileSync(join(root, "CHANGELOG.md"), "utf8"));
  put(join(root, "README.md"), join(to, DOC, "README.md"));
  write(join(to, DOC, "sbom.cdx.json"), bill(about));
  write(join(to, DOC, "copyright"), licences(about));
}

/** What a verb prints, said by the program itself. */
async function said(args: readonly string[]): Promise<string> {
  let text = "";
  const out = (part: string): void => {
    text += part;
  };
  const io: Io = {
    environment: {},
    out,
    err: () => undefined,
    terminal: false,
    columns: 100,
    stop: new AbortController().signal,
  };
  await gateway(args, io);
  return text;
}

/** CycloneDX, of the lock file, with Node; the same bytes for the same parts. */
function bill({ stage, architecture, version, epochSeconds }: About): string {
  const text = run("npm", ["sbom", "--sbom-format=cyclonedx", "--omit=dev", "--package-lock-only"], { cwd: stage });
  const sbom = JSON.parse(text) as {
    serialNumber: string;
    metadata: { timestamp: string; component: { version: string } };
    components: { "bom-ref": string }[];
  };
  sbom.metadata.timestamp = new Date(epochSeconds * 1000).toISOString();
  sbom.metadata.component.version = version;
  const name = `node-linux-${nodeName(architecture)}`;
  const node = { type: "platform", name: "node", version: nodeVersion, purl: `pkg:npm/${name}@${nodeVersion}` };
  sbom.components.push({ "bom-ref": `${name}@${nodeVersion}`, ...node } as never);
  sbom.components.sort((one, other) => (one["bom-ref"] < other["bom-ref"] ? -1 : 1));
  sbom.serialNumber = "";
  const digest = createHash("sha256").update(JSON.stringify(sbom)).digest("hex");
  const parts = [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `5${digest.slice(13, 16)}`,
    `8${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ];
  sbom.serialNumber = `urn:uuid:${parts.join("-")}`;
  return `${JSON.stringify(sbom, null, 1)}\n`;
}

/** The licence of each part, with its text where the part brings one. */
function licences({ root, stage, node, version }: About): string {
  const own = readFileSync(join(root, "LICENSE"), "utf8");
  const parts = modulesIn(join(stage, "node_modules")).map(({ name, folder }) => {
    const { version: partVersion, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<
      string,
      unknown
    >;
    const texts = readdirSync(folder).filter((file) => LICENCE.test(file) && !file.endsWith(".js"));
    const text = texts.map((file) => readFileSync(join(folder, file), "utf8").trim()).join("\n\n");
    return `${"=".repeat(78)}\n${name} ${String(partVersion)}: ${typeof license === "string" ? license : JSON.stringify(license)}\n\n${text}\n`;
  });
  const runtime = readFileSync(join(node, "LICENSE"), "utf8");
  return `Holdfast ${version}\n\n${own}\n${"=".repeat(78)}\nNode.js ${nodeVersion}\n\n${runtime}\n${parts.join("\n")}`;
}

function modulesIn(folder: string): { readonly name: string; readonly folder: string }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .filter((entry) => !entry.startsWith("."))
    .flatMap((entry) => {
      const path = join(folder, entry);
      if (entry.startsWith("@")) return modulesIn(path).map((one) => ({ ...one, name: `${entry}/${one.name}` }));
      if (!existsSync(join(path, "package.json"))) return [];
      return [{ name: entry, folder: path }, ...modulesIn(join(path, "node_modules"))];
    });
}
