import { basename } from "node:path";
import { check } from "./check.ts";
import { deepFreeze, keptSections, type ReadFile, readOne } from "./load.ts";
import { mergeFiles, type ParsedFile } from "./merge.ts";
import { placed, placedIn } from "./places.ts";
import { atKey, atValue, type Finding, inOrder, type Path, type Problem, suggest } from "./problems.ts";
import type { ReleaseConfig } from "./release.ts";
import { rootSchema } from "./schema-tree.ts";

/** A section that may be tried out, and the files that it is taken from. */
export interface CandidateFiles {
  readonly agents: readonly string[];
  readonly policy: readonly string[];
}

export interface LoadedCandidate {
  readonly ok: true;
  /** The candidate's sections; the others are those of the generation that it is tried against. */
  readonly release: ReleaseConfig;
  /** What the files themselves bring; undefined where no file was named for it. */
  readonly agents: readonly string[] | undefined;
  readonly tools: readonly string[];
  readonly hasPolicy: boolean;
  readonly problemAt: (path: Path, message: string, hint?: string) => Problem;
}

export type CandidateResult = LoadedCandidate | { readonly ok: false; readonly problems: readonly Problem[] };

type Wanted = keyof CandidateFiles;

/** Sections that come along with the one that a file is named for. */
const BESIDE: Readonly<Record<Wanted, readonly string[]>> = {
  agents: ["agents", "tools"],
  policy: ["policy", "policyTests", "tools"],
};

/** What the gateway's own file knows, and a candidate need not: endpoints, programs, people, lanes. */
const OF_THE_GATEWAY: ReadonlySet<PropertyKey> = new Set(["endpoint", "program", "to"]);

/**
 * Agents or a policy out of files of any kind (a whole configuration, or only that section), beside what `kept` has:
 * or every mistake in them. conf.d beside a file is not read: what is tried is what was named.
 */
export function loadCandidate(
  named: CandidateFiles,
  kept: readonly { readonly path: string; readonly source: string }[],
): CandidateResult {
  const problems: Problem[] = [];
  const files = (["agents", "policy"] as const).flatMap((wanted) =>
    named[wanted].flatMap((file) =>
      readOne({ name: file, path: basename(file), isMain: true }, problems).map((read) =>
        taken(read, wanted, problems),
      ),
    ),
  );
  if (problems.length > 0) return { ok: false, problems: inOrder(problems) };
  const own = mergeFiles(onceEach(files));
  const base = baseOf(kept, own.value);
  const value = {
    ...base,
    ...own.value,
    agents: beside(base["agents"], own.value["agents"]),
    tools: beside(base["tools"], own.value["tools"]),
  };
  const place = (finding: Finding): Problem => placed(finding, files, { lists: own.lists, overrides: [] });
  const checked = check(value);
  const findings = checked.findings.filter((finding) => isOwn(finding, own.value));
  problems.push(...own.problems, ...findings.map(place));
  if (checked.config === undefined && problems.length === 0) problems.push(...checked.findings.map(place));
  const release = checked.config?.generation;
  if (release === undefined || problems.length > 0) return { ok: false, problems: inOrder(problems) };
  return {
    ok: true,
    release: deepFreeze(release),
    agents: named.agents.length === 0 ? undefined : Object.keys(own.value["agents"] as object),
    tools: Object.keys((own.value["tools"] ?? {}) as object),
    hasPolicy: named.policy.length > 0,
    problemAt: (path, message, hint) => place(atValue(path, message, hint)),
  };
}

/** The wanted sections of one file; a file without them was named by mistake. */
function taken(file: ReadFile, wanted: Wanted, problems: Problem[]): ParsedFile {
  const known = Object.keys(rootSchema.shape);
  for (const key of Object.keys(file.value)) {
    if (!known.includes(key)) problems.push(placedIn(file, atKey([key], `there is no "${key}"`, suggest(key, known))));
  }
  if (!Object.hasOwn(file.value, wanted))
    problems.push(placedIn(file, atKey([], `the file has no ${wanted}`, "Name the file that has it.")));
  const sections = Object.entries(file.value).filter(([section]) => BESIDE[wanted].includes(section));
  return { ...file, value: Object.fromEntries(sections) };
}

/** A file that is named for both brings its tools once. */
function onceEach(files: readonly ParsedFile[]): ParsedFile[] {
  const seen = new Set<string>();
  return files.map((file) => {
    const { tools, ...rest } = file.value;
    const isAgain = seen.has(file.name);
    seen.add(file.name);
    return { ...file, value: isAgain || tools === undefined ? rest : { ...rest, tools } };
  });
}

/** What the candidate is tried against. Its own policy leaves none of the old one, its agents leave the others. */
function baseOf(
  kept: Parameters<typeof loadCandidate>[1],
  own: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { policy, policyTests, ...rest } = keptSections(kept) ?? {};
  return own["policy"] === undefined ? { ...rest, policy, policyTests } : rest;
}

/** Names of the candidate beside those that it leaves. */
function beside(base: unknown, own: unknown): unknown {
  return isMap(own) || own === undefined ? { ...(base as object), ...own } : own;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isOwn({ path }: Finding, own: Readonly<Record<string, unknown>>): boolean {
  const [section, name, key] = path;
  if (section === undefined || !Object.hasOwn(own, section)) return false;
  if (section !== "tools") return true;
  return Object.hasOwn(own["tools"] as object, name ?? "") && !OF_THE_GATEWAY.has(key ?? "");
}
