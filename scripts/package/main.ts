import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { layAbout } from "./about.ts";
import { makeDeb } from "./deb.ts";
import { bytesOf, proveModules, stageModules } from "./modules.ts";
import { run } from "./run.ts";
import { type Architecture, architectures, fetchNode } from "./runtime.ts";
import { layTree } from "./tree.ts";

interface Options {
  readonly arch: Architecture;
  readonly out: string;
  readonly version?: string;
  readonly cache: string;
}

const ROOT = process.cwd();

async function packageOf({ arch, out, cache, version: wanted }: Options): Promise<void> {
  if (!existsSync(join(ROOT, "scripts/package/debian"))) throw new Error("run it in the folder of the repository");
  const version =
    wanted ?? String((JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string }).version);
  const epochSeconds = Number(
    process.env["SOURCE_DATE_EPOCH"] ?? run("git", ["log", "-1", "--format=%ct"], { cwd: ROOT }).trim(),
  );
  // Always the same folder name: what a compiler writes down of where it worked is the same then.
  const work = mkdtempSync(join(tmpdir(), "holdfast-package-"));
  const [stage, tree] = [join(work, "stage"), join(work, "tree")];
  const began = performance.now();
  const step = (what: string): void =>
    console.log(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${what}`);
  try {
    for (const folder of [stage, tree, resolve(out), resolve(cache)]) mkdirSync(folder, { recursive: true });
    step(`Node for ${arch}`);
    const node = fetchNode(arch, resolve(cache));
    step("modules, and the native one compiled for this Node");
    stageModules(ROOT, stage, arch, node);
    step(`they load: ${proveModules(stage, arch, node)}`);
    const about = { root: ROOT, stage, node, architecture: arch, version, epochSeconds };
    step("man pages, licences, list of parts");
    await layAbout(about, tree);
    step("the tree");
    layTree({ root: ROOT, stage, node, architecture: arch, version }, tree);
    const sizes = sizesOf(tree);
    step("the package");
    const file = makeDeb({ tree, root: ROOT, architecture: arch, version, epochSeconds, out: resolve(out) });
    step("done");
    console.log(`\n${file}  ${megabytes(statSync(file).size)}, installed:\n${sizes}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Where the bytes go. */
function sizesOf(tree: string): string {
  const program = join(tree, "usr/lib/holdfast");
  const modules = join(program, "node_modules");
  const big = ["onnxruntime-node", "@electric-sql", "better-sqlite3"];
  const rest = readdirSync(modules).filter((name) => !big.includes(name));
  const lines: [string, number][] = [
    ["Node", bytesOf(join(program, "bin"))],
    ...big.map((name): [string, number] => [name, bytesOf(join(modules, name))]),
    [`${rest.length} other modules`, rest.reduce((sum, name) => sum + bytesOf(join(modules, name)), 0)],
    ["Holdfast", bytesOf(join(program, "dist"))],
    ["documentation, units, examples", bytesOf(join(tree, "usr/share")) + bytesOf(join(tree, "usr/lib/systemd"))],
    ["all", bytesOf(tree)],
  ];
  return lines.map(([what, bytes]) => `  ${what.padEnd(32)} ${megabytes(bytes).padStart(9)}`).join("\n");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

await new Command("package")
  .description("the Debian package for a gateway: Node inside, of one platform, the same bytes for the same sources")
  .addOption(
    new Option("--arch <name>", "for which machines")
      .choices(architectures)
      .default(process.arch === "arm64" ? "arm64" : "amd64"),
  )
  .option("--out <folder>", "where it goes", "dist/packages")
  .option("--cache <folder>", "where Node is kept between runs", "dist/package-cache")
  .option("--version <text>", "another version than package.json's, to try upgrades")
  .action((options: Options) => packageOf(options))
  .parseAsync();
