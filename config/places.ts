import { type Finding, type Path, type Problem, pathText } from "./problems.ts";

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Where one entry of a file stands: its key (in a list: the entry itself) and its value. */
export interface Entry {
  readonly key: Place;
  readonly value: Place;
}

/** All entries of a file by path. */
export type Places = ReadonlyMap<string, Entry>;

export function placeKey(path: Path): string {
  return path.map(String).join("\0");
}

export interface PlacedFile {
  /** As the person named it. */
  readonly name: string;
  readonly places: Places;
}

/** What a merge of files remembers: whose entry of a list is whose, by section, and what the environment said. */
export interface Origins {
  readonly lists: Readonly<Record<string, readonly { readonly file: PlacedFile; readonly index: number }[]>>;
  readonly overrides: readonly { readonly variable: string; readonly path: Path }[];
}

/** Gives a finding its place: the variable that set it, else the last file that has the path or most of it. */
export function placed(finding: Finding, files: readonly PlacedFile[], origins: Origins): Problem {
  const variable = origins.overrides.findLast((one) => startsWith(finding.path, one.path))?.variable;
  if (variable !== undefined) return problem(finding, variable, { line: 1, column: 1 });
  const [section, index] = finding.path;
  const origin = typeof index === "number" ? origins.lists[String(section)]?.[index] : undefined;
  if (origin !== undefined)
    return placedIn(origin.file, finding, [section as string, origin.index, ...finding.path.slice(2)]);
  let best = files[0] as PlacedFile;
  let depth = 0;
  for (const file of files) {
    const found = depthIn(file.places, finding.path);
    if (found > 0 && found >= depth) {
      best = file;
      depth = found;
    }
  }
  return placedIn(best, finding);
}

/** The place in one file: of the value, of the key, or of the nearest thing around it that is there. */
export function placedIn(file: PlacedFile, finding: Finding, path: Path = finding.path): Problem {
  const depth = depthIn(file.places, path);
  const entry = file.places.get(placeKey(path.slice(0, depth)));
  const whole = depth === path.length && finding.at === "value";
  return problem(finding, file.name, (whole ? entry?.value : entry?.key) ?? { line: 1, column: 1 });
}

function problem({ path, message, hint }: Finding, file: string, place: Place): Problem {
  const { line, column } = place;
  return { file, line, column, path: pathText(path), message, ...(hint === undefined ? {} : { hint }) };
}

function depthIn(places: Places, path: Path): number {
  for (let depth = path.length; depth > 0; depth--) {
    if (places.has(placeKey(path.slice(0, depth)))) return depth;
  }
  return 0;
}

function startsWith(path: Path, start: Path): boolean {
  return start.length <= path.length && start.every((part, at) => String(part) === String(path[at]));
}
