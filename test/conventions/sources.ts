import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly from: string;
  /** As written: a relative path or a package. */
  readonly to: string;
  /** `import type` leaves nothing behind at run time. */
  readonly isType: boolean;
  /** `import()` runs after the files on both sides are loaded. */
  readonly isLazy: boolean;
}

/** Every file that the repository holds or is about to: tracked, or new and not ignored. */
export function repositoryFiles(): string[] {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  return listed
    .split("\n")
    .filter((path) => path !== "" && statSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true);
}

export function read(path: string): SourceFile {
  return { path, text: readFileSync(join(root, path), "utf8") };
}

export function sources(...folders: string[]): SourceFile[] {
  return repositoryFiles()
    .filter((path) => path.endsWith(".ts") && folders.includes(path.split("/")[0] ?? ""))
    .map(read);
}

const IMPORT =
  /^\s*(?:import|export)\s+(type\s+)?(?:[\w*{][^;"']*?\s+from\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;

/** Imports by their text: no compiler is needed as long as they are written the ordinary way. */
export function importsOf(file: SourceFile): Import[] {
  return [...file.text.matchAll(IMPORT)].map((found) => ({
    from: file.path,
    to: found[2] ?? found[3] ?? "",
    isType: found[1] !== undefined || (found[3] !== undefined && isInType(file.text, found.index)),
    isLazy: found[3] !== undefined,
  }));
}

/** `typeof import("x")` and `as import("x")` are types. */
function isInType(text: string, at: number): boolean {
  return /(?:typeof|\bas)\s*$/.test(text.slice(Math.max(0, at - 12), at));
}

/** Path of an import of ours, from the repository's root; undefined for packages. */
export function targetOf({ from, to }: Import): string | undefined {
  return to.startsWith(".") ? normalize(join(dirname(from), to)) : undefined;
}

/** Name of the package an import is of, with its scope; undefined for ours and Node's own. */
export function packageOf({ to }: Import): string | undefined {
  if (to.startsWith(".") || to.startsWith("node:")) return undefined;
  const parts = to.split("/");
  return to.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0];
}
