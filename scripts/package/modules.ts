import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./run.ts";
import { type Architecture, nodeName } from "./runtime.ts";

/** Compilers and their tools: of this machine's own kind without a prefix. */
const CROSS: Readonly<Record<Architecture, string>> = { amd64: "x86_64-linux-gnu-", arm64: "aarch64-linux-gnu-" };

export function toolPrefix(architecture: Architecture): string {
  return nodeName(architecture) === process.arch ? "" : CROSS[architecture];
}

/** Nothing at run time reads these; licences stay. */
const NOT_NEEDED = /\.(?:d\.[mc]?ts|[mc]?ts|map|md|markdown|tsbuildinfo)$/i;
const LICENCE = /licen[cs]e|copying|notice/i;
const NOT_NEEDED_FOLDERS = new Set([
  "test",
  "tests",
  "__tests__",
  "example",
  "examples",
  "benchmark",
  "benchmarks",
  ".github",
]);

/** The production modules of package-lock.json for one platform, in `<stage>/node_modules`. */
export function stageModules(root: string, stage: string, architecture: Architecture, nodeFolder: string): void {
  for (const file of ["package.json", "package-lock.json", ".npmrc"])
    if (existsSync(join(root, file))) copyFileSync(join(root, file), join(stage, file));
  run(
    "npm",
    [
      "ci",
      "--omit=dev",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      `--cpu=${nodeName(architecture)}`,
      "--os=linux",
    ],
    {
      cwd: stage,
    },
  );
  const modules = join(stage, "node_modules");
  pruneOnnxruntime(join(modules, "onnxruntime-node"), architecture);
  compileSqlite(join(modules, "better-sqlite3"), architecture, nodeFolder);
  prune(modules);
}

/** Its package brings the libraries of five platforms. */
function pruneOnnxruntime(folder: string, architecture: Architecture): void {
  for (const napi of readdirSync(join(folder, "bin"))) {
    for (const system of readdirSync(join(folder, "bin", napi)))
      if (system !== "linux") rmSync(join(folder, "bin", napi, system), { recursive: true });
    const linux = join(folder, "bin", napi, "linux");
    for (const cpu of readdirSync(linux))
      if (cpu !== nodeName(architecture)) rmSync(join(linux, cpu), { recursive: true });
    if (!existsSync(join(linux, nodeName(architecture), "onnxruntime_binding.node")))
      throw new Error(`onnxruntime-node has no library for ${architecture}`);
  }
  rmSync(join(folder, "script"), { recursive: true, force: true });
}

/**
 * SQLite takes fsync unless it is told that fdatasync does what it says, as Linux has it. With fsync the file system writes
 * down the time of each commit in a transaction of its own: more bytes than the commit itself, and a second flush of the disk.
 */
const SYNC_DATA = "-DHAVE_FDATASYNC=1";

/** Whether a library asks the system for fdatasync, by the names that it looks up. */
export function syncsData(library: Buffer): boolean {
  return library.includes("\0fdatasync\0");
}

/** For the ABI of the Node in the package, with its headers: nothing is downloaded. */
function compileSqlite(folder: string, architecture: Architecture, nodeFolder: string): void {
  const gyp = join(
    dirname(dirname(run("npm", ["root", "-g"]).trim())),
    "lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js",
  );
  withoutCleanupHooks(nodeFolder);
  const prefix = toolPrefix(architecture);
  const flags = `-ffile-prefix-map=${folder}=/better-sqlite3 -g0 ${SYNC_DATA}`;
  const env = {
    ...withoutNpm(process.env),
    ...{ CC: `${prefix}gcc`, CXX: `${prefix}g++`, AR: `${prefix}ar`, CFLAGS: flags, CXXFLAGS: flags },
    ...{ npm_config_build_from_source: "true" },
  };
  const args = [gyp, "rebuild", "--release", `--nodedir=${nodeFolder}`, `--arch=${nodeName(architecture)}`];
  run(process.execPath, args, { cwd: folder, env });
  const built = join(folder, "build/Release/better_sqlite3.node");
  run(`${prefix}strip`, ["--strip-unneeded", built]);
  if (!syncsData(readFileSync(built)))
    throw new Error(`${built} does not ask for fdatasync: each commit writes twice as much`);
  const kept = join(folder, "kept.node");
  copyFileSync(built, kept);
  for (const part of ["build", "deps", "src", "binding.gyp"])
    rmSync(join(folder, part), { recursive: true, force: true });
  mkdirSync(dirname(built), { recursive: true });
  cpSync(kept, built);
  rmSync(kept);
}

/**
 * Since 24.19 the ObjectWrap of Node's headers takes a hook of the environment back in its destructor. V8 collects also
 * where no environment is entered, and there that ends the process (`Assertion failed: (env) != nullptr`), here at one
 * start in some. The statements of better-sqlite3 12 are such objects. The hook only frees what is left at the end of the
 * environment, so the module is compiled without it, as for every Node before.
 */
function withoutCleanupHooks(nodeFolder: string): void {
  const header = join(nodeFolder, "include/node/node_object_wrap.h");
  const text = readFileSync(header, "utf8");
  const plain = text.replace(/^ {4}(?:Add|Remove)CleanupHook\(\);\n/gm, "");
  if (/^ {4}\w*CleanupHook\(\);$/m.test(plain) || !plain.includes("class ObjectWrap"))
    throw new Error(`${header} is not as it was: do destructors still need an environment?`);
  writeFileSync(header, plain);
}

/** npm's own settings beat arguments: one that names other headers would compile for another Node. */
function withoutNpm(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !/^npm_/i.test(name)));
}

/** The program that runs binaries of another architecture here, from Debian's qemu-user-static. */
const EMULATOR: Readonly<Record<Architecture, string>> = { amd64: "qemu-x86_64-static", arm64: "qemu-aarch64-static" };
/** The inference library asks /sys for caches, believes what this machine has, and ends where that fits no other one. */
const WITHOUT_CACHES = 'for one in /sys/devices/system/cpu/cpu*/cache; do mount -t tmpfs none $one; done; exec "$@"';

/** What a command has to be put behind to run as on a machine of that architecture. */
function asOn(architecture: Architecture): readonly string[] {
  if (nodeName(architecture) === process.arch) return [];
  const libraries = `/usr/${CROSS[architecture].slice(0, -1)}`;
  return [
    "unshare",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    WITHOUT_CACHES,
    "sh",
    EMULATOR[architecture],
    "-L",
    libraries,
  ];
}

/** Opens a database and loads the inference library with the Node of the package. Throws where that fails. */
export function proveModules(stage: string, architecture: Architecture, nodeFolder: string): string {
  const node = join(nodeFolder, "bin/node");
  const script =
    "const D=require('better-sqlite3');const d=new D(':memory:');" +
    "const o=require('onnxruntime-node');if(typeof o.InferenceSession!=='function')throw new Error('no inference');" +
    "console.log(process.version,process.arch,'sqlite',d.prepare('select sqlite_version() v').get().v)";
  const [program = node, ...args] = [...asOn(architecture), node, "-e", script];
  const env = { ...withoutNpm(process.env), ORT_DISABLE_TELEMETRY: "1" };
  return run(program, args, { cwd: stage, env }).trim();
}

function prune(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && (NOT_NEEDED_FOLDERS.has(entry.name) || entry.name === ".bin"))
      rmSync(path, { recursive: true });
    else if (entry.isDirectory()) prune(path);
    else if (entry.name === ".package-lock.json") rmSync(path);
    else if (NOT_NEEDED.test(entry.name) && !LICENCE.test(entry.name)) rmSync(path);
  }
}

export function bytesOf(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}
