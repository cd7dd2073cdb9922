import { basename, dirname, resolve } from "node:path";
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  Parser,
  parseDocument,
  stringify,
} from "yaml";
import { type Config, check, MOST_PROBLEMS } from "./check.ts";
import { applyEnvironment, type Environment } from "./environment.ts";
import { filesBeside, type NamedFile, readText, type SourceFile, sha256 } from "./files.ts";
import { mergeFiles, type ParsedFile } from "./merge.ts";
import { type Entry, type Place, placed, placedIn, placeKey } from "./places.ts";
import { atKey, atValue, type Finding, inOrder, type Path, type Problem } from "./problems.ts";
import { type ReleaseConfig, releaseSchema } from "./release.ts";
import { generationSections } from "./schema-tree.ts";
import { emptyFileText, syntaxHint, syntaxText, topLevelText } from "./syntax-text.ts";
import { upgrade } from "./upgrade.ts";

export type { Config } from "./check.ts";
export type { SourceFile } from "./files.ts";
export type { Problem } from "./problems.ts";

export interface LoadedConfig {
  readonly ok: true;
  readonly config: Config;
  readonly files: readonly SourceFile[];
  /** Relative paths in the files mean this folder. */
  readonly baseDirectory: string;
  /** A mistake that was found later (a model that does not fit, an expression), with its place. */
  readonly problemAt: (path: Path, message: string, hint?: string) => Problem;
  /** Where a path of the configuration stands, for messages. */
  readonly locate: (path: Path) => { readonly file: string; readonly line: number; readonly column: number };
}

export type LoadResult = LoadedConfig | { readonly ok: false; readonly problems: readonly Problem[] };

export interface LoadOptions {
  readonly file: string;
  readonly environment: Environment;
  /** Relative paths mean this folder; default: the file's. */
  readonly baseDirectory?: string;
  /** A candidate: a file of its own whose policy or cases stand in place of the configuration's. */
  readonly policyFile?: string | undefined;
}

const MOST_ALIASES = 100;
const DEEPEST = 64;
const MOST_PROBLEMS_OF_SYNTAX = 20;

export interface ReadFile extends ParsedFile {
  readonly source: SourceFile;
}

/** Reads the file and conf.d/*.yaml beside it: a frozen configuration, or every mistake with its place. Never throws. */
export function loadConfig(options: LoadOptions): LoadResult {
  const problems: Problem[] = [];
  const own = filesBeside(options.file).flatMap((file) => readOne(file, problems));
  const files = options.policyFile === undefined ? own : withPolicyOf(options.policyFile, own, problems);
  if (files.length === 0 || problems.length > 0) return { ok: false, problems: inOrder(problems) };
  const merged = mergeFiles(files);
  const { value, overrides, findings } = applyEnvironment(merged.value, options.environment, yamlValue);
  const place = (finding: Finding): Problem => placed(finding, files, { lists: merged.lists, overrides });
  problems.push(...merged.problems.slice(0, MOST_PROBLEMS));
  for (const { variable, finding } of findings)
    problems.push({ ...place(finding), file: variable, line: 1, column: 1 });
  const checked = check(value);
  problems.push(...checked.findings.map(place));
  if (checked.config === undefined || problems.length > 0) return { ok: false, problems: inOrder(problems) };
  return {
    ok: true,
    config: deepFreeze(checked.config),
    files: files.map((file) => file.source),
    baseDirectory: options.baseDirectory ?? dirname(resolve(options.file)),
    problemAt: (path, message, hint) => place(atValue(path, message, hint)),
    locate: (path) => {
      const { file, line, column } = place(atValue(path, ""));
      return { file, line, column };
    },
  };
}

/**
 * The generation's sections of files that were kept, without the gateway around them; undefined when this version can
 * not read them. Nothing is checked that was checked when they ran.
 */
export function loadRelease(kept: readonly KeptFile[]): ReleaseConfig | undefined {
  const release = releaseSchema.safeParse(keptSections(kept));
  return release.success ? deepFreeze(release.data) : undefined;
}

interface KeptFile {
  readonly path: string;
  readonly source: string;
}

/** What stands in the generation's sections of files that were kept; undefined when one of them can not be read. */
export function keptSections(kept: readonly KeptFile[]): Record<string, unknown> | undefined {
  const files = kept.flatMap(({ path, source }) => {
    const parsed = parse(source);
    if (!parsed.ok || typeof parsed.value !== "object" || parsed.value === null) return [];
    const upgraded = upgrade(parsed.value as Record<string, unknown>);
    return upgraded.ok ? [{ name: path, places: parsed.places, value: upgraded.value }] : [];
  });
  if (files.length < kept.length) return undefined;
  const { value } = mergeFiles(files);
  return Object.fromEntries(Object.entries(value).filter(([section]) => generationSections.includes(section)));
}

const POLICY_SECTIONS: readonly string[] = ["policy", "policyTests"];

/** Whether a file has a policy or its cases, and nothing else; not so when it can not be read. */
export function isPolicyAlone(file: string): boolean {
  const [read] = readOne({ name: file, path: basename(file), isMain: true }, []);
  const sections = Object.keys(read?.value ?? {}).filter((section) => section !== "schemaVersion");
  return sections.length > 0 && sections.every((section) => POLICY_SECTIONS.includes(section));
}

function withPolicyOf(policyFile: string, files: readonly ReadFile[], problems: Problem[]): ReadFile[] {
  const [read] = readOne({ name: policyFile, path: basename(policyFile), isMain: true }, problems);
  if (read === undefined) return [...files];
  for (const section of Object.keys(read.value)) {
    if (section === "schemaVersion" || POLICY_SECTIONS.includes(section)) continue;
    problems.push(placedIn(read, atKey([section], `a file of policy has no "${section}"`)));
  }
  const isReplaced = (section: string) => POLICY_SECTIONS.includes(section) && Object.hasOwn(read.value, section);
  const rest = files.map((file) => ({
    ...file,
    value: Object.fromEntries(Object.entries(file.value).filter(([section]) => !isReplaced(section))),
  }));
  return [...rest, read];
}

/** One file with its places; its mistakes go to `problems`. */
export function readOne(file: NamedFile, problems: Problem[]): ReadFile[] {
  const fail = (message: string, hint?: string, place: Place = { line: 1, column: 1 }): never[] => {
    problems.push({ file: file.name, ...place, path: "", message, ...(hint === undefined ? {} : { hint }) });
    return [];
  };
  const read = readText(file.name);
  if (!read.ok) return fail(read.message, read.hint);
  const parsed = parse(read.text);
  if (!parsed.ok) {
    for (const { message, hint, place } of parsed.mistakes) fail(message, hint, place);
    return [];
  }
  if (parsed.value === null) return file.isMain ? fail(...emptyFileText) : [];
  if (typeof parsed.value !== "object" || Array.isArray(parsed.value)) return fail(...topLevelText(parsed.value));
  const upgraded = upgrade(parsed.value as Record<string, unknown>);
  if (!upgraded.ok) {
    problems.push(placedIn({ name: file.name, places: parsed.places }, upgraded.finding));
    return [];
  }
  const inGeneration = generationSections.some((section) => Object.hasOwn(upgraded.value, section));
  const source: SourceFile = { path: file.path, sha256: sha256(read.bytes), bytes: read.bytes, inGeneration };
  return [{ name: file.name, places: parsed.places, value: upgraded.value, source }];
}

interface Mistake {
  readonly message: string;
  readonly hint?: string | undefined;
  readonly place: Place;
}

type Parsed =
  | { readonly ok: true; readonly value: unknown; readonly places: ReadonlyMap<string, Entry> }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };

/** YAML text → its value and the place of each entry, or what is wrong with it. */
function parse(text: string): Parsed {
  const hopeless = scan(text);
  if (hopeless.length > 0) return { ok: false, mistakes: hopeless };
  const lines = new LineCounter();
  const placeOf = placesOf(lines);
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    resolveKnownTags: false,
    uniqueKeys: false,
  });
  const bad = [...document.errors, ...document.warnings].map((error) => ({
    message: syntaxText(error.code, error.message),
    hint: syntaxHint(error.code, text, error.pos[0]),
    place: placeOf(error.pos[0]),
  }));
  if (bad.length > 0) return { ok: false, mistakes: firstOfEachLine(bad).slice(0, MOST_PROBLEMS_OF_SYNTAX) };
  const places = new Map<string, Entry>();
  const found: Mistake[] = [];
  walk(document, document.contents, [], { places, found, placeOf });
  if (found.length > 0) return { ok: false, mistakes: found.slice(0, MOST_PROBLEMS) };
  try {
    return { ok: true, value: document.toJS({ maxAliasCount: MOST_ALIASES }) ?? null, places };
  } catch {
    const message = `anchors are used more than ${MOST_ALIASES} times`;
    return { ok: false, mistakes: [{ message, hint: "Write the repeated parts out.", place: placeOf(0) }] };
  }
}

/** After a mistake of syntax the rest of its line says nothing more. */
function firstOfEachLine(all: readonly Mistake[]): Mistake[] {
  const seen = new Set<number>();
  return all.filter(({ place }) => !seen.has(place.line) && seen.add(place.line));
}

function placesOf(lines: LineCounter): (offset: number) => Place {
  return (offset) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
}

/**
 * What must not reach the library's composer. Its parser keeps its own stack, but the composer recurses, and at the end
 * of the stack the regular expressions it uses take the whole process down; and of text that is no YAML at all it makes
 * one error object for each word.
 */
function scan(text: string): Mistake[] {
  const lines = new LineCounter();
  const placeOf = placesOf(lines);
  const broken: Mistake[] = [];
  for (const token of new Parser(lines.addNewLine).parse(text)) {
    const deep = firstBelow(token, DEEPEST);
    if (deep !== undefined) {
      return [{ message: `maps and lists lie in each other more than ${DEEPEST} levels deep`, place: placeOf(deep) }];
    }
    if (token.type !== "error") continue;
    broken.push({ message: syntaxText("", token.message), place: placeOf(token.offset) });
    if (broken.length > MOST_PROBLEMS) return firstOfEachLine(broken).slice(0, MOST_PROBLEMS_OF_SYNTAX);
  }
  return [];
}

interface Token {
  readonly offset?: number;
  readonly items?: readonly { readonly key?: unknown; readonly value?: unknown }[];
  readonly value?: unknown;
}

/** Where something lies in a token more than `limit` levels deep. */
function firstBelow(token: unknown, limit: number): number | undefined {
  const open = [{ token: token as Token, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { items, value, offset } = next.token;
    if (next.depth > limit) return offset ?? 0;
    if (typeof value === "object" && value !== null) open.push({ token: value, depth: next.depth });
    for (const item of items ?? []) {
      if (item.key) open.push({ token: item.key, depth: next.depth + 1 });
      if (item.value) open.push({ token: item.value, depth: next.depth + 1 });
    }
  }
  return undefined;
}

interface Walk {
  readonly places: Map<string, Entry>;
  readonly found: Mistake[];
  readonly placeOf: (offset: number) => Place;
}

/** Notes the place of each entry, and what YAML allows but no configuration has. */
function walk(document: Document, node: unknown, path: Path, to: Walk): void {
  if (isAlias(node)) checkAlias(document, node, to);
  else if (isMap(node)) {
    for (const { key, value } of node.items) walkPair(document, { key, value }, path, to);
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      const place = to.placeOf(startOf(item) ?? startOf(node) ?? 0);
      to.places.set(placeKey([...path, index]), { key: place, value: place });
      walk(document, item, [...path, index], to);
    }
  }
}

function walkPair(document: Document, pair: { key: unknown; value: unknown }, path: Path, to: Walk): void {
  const keyPlace = to.placeOf(startOf(pair.key) ?? 0);
  const name = isScalar(pair.key) ? pair.key.value : undefined;
  if (name === "__proto__") {
    to.found.push({ message: "__proto__ can not be a name here", place: keyPlace });
    return;
  }
  if (name === undefined || name === null || typeof name === "object") {
    to.found.push({
      message: "a key must be plain text",
      hint: "Put text that begins with { [ * or & in quotes.",
      place: keyPlace,
    });
    return;
  }
  const inside = [...path, String(name)];
  // The library's own check compares each key with each other: minutes for a map of some hundred thousand.
  const before = to.places.get(placeKey(inside));
  if (before !== undefined) {
    to.found.push({
      message: `the key "${String(name)}" is there twice: here and in line ${before.key.line}`,
      hint: "Keep one of the two.",
      place: keyPlace,
    });
    return;
  }
  to.places.set(placeKey(inside), { key: keyPlace, value: to.placeOf(startOf(pair.value) ?? startOf(pair.key) ?? 0) });
  walk(document, pair.value, inside, to);
}

function checkAlias(document: Document, alias: Node & { source: string }, to: Walk): void {
  const anchored = (alias as unknown as { resolve(document: Document): Node | undefined }).resolve(document);
  const place = to.placeOf(startOf(alias) ?? 0);
  const own = anchored?.range;
  const at = startOf(alias) ?? 0;
  if (anchored === undefined) {
    to.found.push({
      message: `*${alias.source} has no anchor &${alias.source} above it`,
      hint: "A text that begins with * must be in quotes.",
      place,
    });
  } else if (isCollection(anchored) && own && own[0] <= at && at < own[2]) {
    to.found.push({ message: `*${alias.source} is a part of itself`, place });
  }
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null | undefined)?.range?.[0];
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}

/** A value as YAML text, for people. */
export function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 110 });
}

/** Reads YAML text of one value: what an environment variable holds. Text that is no YAML is taken as it is. */
function yamlValue(text: string): unknown {
  const parsed = parse(text);
  return parsed.ok ? parsed.value : text;
}
