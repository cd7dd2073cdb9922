import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { isUtf8 } from "node:buffer";
import { type Document, isMap, isSeq, LineCounter, parseDocument, stringify } from "yaml";
import { z } from "zod";
import { applyEnvironment } from "./environment.ts";
import { type GatewayConfig, gatewaySchema } from "./gateway.ts";
import { type Finding, findings, type Path, pathText, type Problem } from "./problems.ts";
import { references } from "./references.ts";
import { type ReleaseConfig, releaseSchema } from "./release.ts";
import { keysAt } from "./shape.ts";

export type { Problem } from "./problems.ts";

/** A configuration file as it was read. */
export interface SourceFile {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: Buffer;
  /** It has agents, models, tools or policy, and so is part of the generation. */
  readonly inGeneration: boolean;
}

export interface Config {
  readonly gateway: GatewayConfig;
  readonly generation: ReleaseConfig;
}

export interface LoadedConfig {
  readonly ok: true;
  readonly config: Config;
  readonly files: readonly SourceFile[];
  /** Relative paths in the files mean this folder. */
  readonly baseDirectory: string;
  /** A mistake that was found later (a model that does not fit, an expression), with its place. */
  readonly problemAt: (path: Path, message: string, hint?: string) => Problem;
}

export type LoadResult = LoadedConfig | { readonly ok: false; readonly problems: readonly Problem[] };

export interface LoadOptions {
  readonly file: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Relative paths mean this folder; default: the file's. */
  readonly baseDirectory?: string;
}

/** Everything that may stand in a configuration file. */
export const rootSchema = z.strictObject({ ...gatewaySchema.shape, ...releaseSchema.shape });

const GENERATION_SECTIONS = ["agents", "models", "tools", "policy"] as const;
const LARGEST_FILE_BYTES = 4_194_304;
const MOST_ALIASES = 100;
const MOST_PROBLEMS_OF_SYNTAX = 20;

interface ReadFile {
  readonly source: SourceFile;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly value: Record<string, unknown>;
}

/** Reads the file and conf.d/*.yaml beside it: a frozen configuration, or every mistake with its place. Never throws. */
export function loadConfig(options: LoadOptions): LoadResult {
  const main = resolve(options.file);
  const folder = options.baseDirectory ?? dirname(main);
  const problems: Problem[] = [];
  const files = [main, ...overlays(dirname(main))].flatMap((path) => readOne(path, dirname(main), problems));
  if (files.length === 0 || problems.length > 0) return { ok: false, problems };
  const place = placer(files);
  const merged = merge(files, problems, place);
  for (const finding of applyEnvironment(merged, options.environment, { sections: GENERATION_SECTIONS, schema: rootSchema, scalarOf })) {
    problems.push({ file: finding.variable, line: 1, column: 1, path: finding.path, message: finding.message, ...(finding.hint === undefined ? {} : { hint: finding.hint }) });
  }
  const parsed = rootSchema.safeParse(merged, { reportInput: true });
  if (!parsed.success) {
    problems.push(...findings(parsed.error.issues, (path) => keysAt(rootSchema, merged, path)).map(place));
    return { ok: false, problems: sorted(problems) };
  }
  const config = split(parsed.data);
  problems.push(...references(config).map(place));
  if (problems.length > 0) return { ok: false, problems: sorted(problems) };
  return {
    ok: true,
    config: deepFreeze(config),
    files: files.map((file) => file.source),
    baseDirectory: folder,
    problemAt: (path, message, hint) => place({ path, at: "value", message, hint }),
  };
}

function overlays(folder: string): string[] {
  const extra = join(folder, "conf.d");
  if (!statSync(extra, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(extra).filter((name) => /\.ya?ml$/.test(name)).sort().map((name) => join(extra, name));
}

function readOne(path: string, folder: string, problems: Problem[]): ReadFile[] {
  const fail = (message: string, hint?: string, line = 1, column = 1): ReadFile[] => {
    problems.push({ file: path, line, column, path: "", message, ...(hint === undefined ? {} : { hint }) });
    return [];
  };
  const bytes = readBytes(path);
  if (typeof bytes === "string") return fail(bytes);
  if (bytes.length > LARGEST_FILE_BYTES) return fail(`the file has ${bytes.length} bytes; at most ${LARGEST_FILE_BYTES} are read`);
  if (!isUtf8(bytes)) return fail("the file is not UTF-8 text", "Save it as UTF-8.");
  const lines = new LineCounter();
  const document = parseDocument(bytes.toString("utf8"), { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    for (const error of document.errors.slice(0, MOST_PROBLEMS_OF_SYNTAX)) {
      const { line, col } = lines.linePos(error.pos[0]);
      fail(syntaxText(error.code, error.message), syntaxHint(error.code), line, col);
    }
    return [];
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch {
    return fail(`the file has more than ${MOST_ALIASES} uses of anchors`, "Write the repeated parts out.");
  }
  if (value === null || value === undefined) return path.includes("/conf.d/") ? [] : fail("the file is empty", "At least one agent makes a gateway useful: see config/examples.");
  if (typeof value !== "object" || Array.isArray(value)) return fail(`expected a map with keys such as device, bus, agents at the top, found ${Array.isArray(value) ? "a list" : JSON.stringify(value)}`);
  const sections = Object.keys(value);
  const source: SourceFile = {
    path: relative(folder, path) || basename(path),
    sha256: createHash("sha256").update(bytes).digest("hex"),
    bytes,
    inGeneration: GENERATION_SECTIONS.some((section) => sections.includes(section)),
  };
  return [{ source, document, lines, value: value as Record<string, unknown> }];
}

function readBytes(path: string): Buffer | string {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return "the file does not exist";
    if (code === "EISDIR") return "this is a folder, expected a YAML file";
    if (code === "EACCES") return "the file may not be read by this user";
    return `the file can not be read: ${code ?? String(error)}`;
  }
}

function syntaxText(code: string, message: string): string {
  if (code === "DUPLICATE_KEY") return "this key is there twice";
  if (code === "TAB_AS_INDENT") return "a tab is used to indent";
  return `not valid YAML: ${message.split("\n", 1)[0]}`;
}

function syntaxHint(code: string): string | undefined {
  if (code === "TAB_AS_INDENT") return "Indent with spaces.";
  return code === "DUPLICATE_KEY" ? "Keep one of the two." : undefined;
}

/** Later files win, key by key; entries of agents, models and tools must have one place. */
function merge(files: readonly ReadFile[], problems: Problem[], place: (finding: Finding) => Problem): Record<string, unknown> {
  const merged: Record<string, unknown> = {};
  for (const { value, source } of files) {
    for (const [section, content] of Object.entries(value)) {
      const before = Object.hasOwn(merged, section) ? merged[section] : undefined;
      if (section === "policy" && Array.isArray(before) && Array.isArray(content)) merged[section] = [...before, ...content];
      else if (isPlain(before) && isPlain(content)) {
        if ((GENERATION_SECTIONS as readonly string[]).includes(section)) {
          for (const name of Object.keys(content)) {
            if (Object.hasOwn(before, name)) problems.push({ ...place({ path: [section, name], at: "key", message: `"${name}" is there in two files`, hint: "Keep one of the two." }), file: source.path });
          }
        }
        merged[section] = deepMerge(before, content);
      } else merged[section] = content;
    }
  }
  return merged;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function deepMerge(low: Record<string, unknown>, high: Record<string, unknown>): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...low };
  for (const [key, value] of Object.entries(high)) {
    const before = Object.hasOwn(merged, key) ? merged[key] : undefined;
    merged[key] = isPlain(before) && isPlain(value) ? deepMerge(before, value) : value;
  }
  return merged;
}

/** Gives a finding its place: the last file that has the path, or the deepest part of it. */
function placer(files: readonly ReadFile[]): (finding: Finding) => Problem {
  return (finding) => {
    let best = { depth: -1, file: files[0] as ReadFile, offset: 0 };
    for (const file of files) {
      const found = offsetOf(file.document, finding.path, finding.at);
      if (found.depth >= best.depth && !(found.depth === 0 && best.depth === 0)) best = { ...found, file };
    }
    const { line, col } = best.file.lines.linePos(best.offset);
    const { message, hint, path } = finding;
    return { file: best.file.source.path, line: Math.max(1, line), column: Math.max(1, col), path: pathText(path), message, ...(hint === undefined ? {} : { hint }) };
  };
}

/** Where a path stands in a document: its value, or its key where the value is missing or the key is what is wrong. */
function offsetOf(document: Document, path: Path, at: "key" | "value"): { depth: number; offset: number } {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  let depth = 0;
  for (const [index, part] of path.entries()) {
    const last = index === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(part));
      if (pair === undefined) return { depth, offset };
      const key = startOf(pair.key) ?? offset;
      const value = startOf(pair.value);
      offset = !last || (at === "value" && value !== undefined) ? (last ? (value ?? key) : key) : key;
      node = pair.value;
    } else if (isSeq(node) && typeof part === "number" && node.items[part] !== undefined) {
      node = node.items[part];
      offset = startOf(node) ?? offset;
    } else return { depth, offset };
    depth += 1;
  }
  return { depth, offset };
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: [number, number, number] | null } | null)?.range?.[0];
}

function keyText(key: unknown): string {
  return String((key as { value?: unknown } | null)?.value ?? key);
}

function split(all: z.infer<typeof rootSchema>): Config {
  const { agents, models, tools, policy, ...gateway } = all;
  return { gateway, generation: { agents, models, tools, policy } };
}

function sorted(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => (a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}

/** The configuration as YAML text, for people. */
export function toYaml(value: unknown): string {
  return stringify(value);
}

/** Reads YAML text of one value: what an environment variable holds. */
function scalarOf(text: string): unknown {
  const document = parseDocument(text);
  return document.errors.length > 0 ? text : document.toJS({ maxAliasCount: 0 });
}


