import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** The folder beside the main file whose files are read after it, in order of their names. */
const OVERLAY_FOLDER = "conf.d";
const LARGEST_FILE_BYTES = 4_194_304;

/** A configuration file as it was read. */
export interface SourceFile {
  /** Relative to the main file's folder. */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: Buffer;
  /** It has agents, models, tools or policy, and so is part of the generation. */
  readonly inGeneration: boolean;
}

export interface NamedFile {
  /** As the person named it, for messages. */
  readonly name: string;
  readonly path: string;
  readonly isMain: boolean;
}

/** The main file and conf.d/*.yaml beside it. */
export function filesBeside(file: string): NamedFile[] {
  const main: NamedFile = { name: file, path: basename(file), isMain: true };
  const folder = join(dirname(file), OVERLAY_FOLDER);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return [main];
  const names = listed(folder).filter((name) => /^[^.].*\.ya?ml$/.test(name));
  const overlays = names.map((name) => ({
    name: join(folder, name),
    path: `${OVERLAY_FOLDER}/${name}`,
    isMain: false,
  }));
  return [main, ...overlays];
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    // Named as a file that can't be read, so that the mistake is told and not passed over.
    return [`${(error as NodeJS.ErrnoException).code}.yaml`];
  }
}

export type ReadText =
  | { readonly ok: true; readonly bytes: Buffer; readonly text: string }
  | { readonly ok: false; readonly message: string; readonly hint?: string };

export function readText(file: string): ReadText {
  const bytes = readBytes(file);
  if ("message" in bytes) return { ok: false, ...bytes };
  if (!isUtf8(bytes)) return { ok: false, message: "the file is not UTF-8 text", hint: "Save it as UTF-8." };
  return { ok: true, bytes, text: bytes.toString("utf8") };
}

function readBytes(file: string): Buffer | { readonly message: string; readonly hint?: string } {
  try {
    const { size } = statSync(file);
    if (size > LARGEST_FILE_BYTES)
      return { message: `the file has ${size} bytes; at most ${LARGEST_FILE_BYTES} are read` };
    return readFileSync(file);
  } catch (error) {
    return readFailure((error as NodeJS.ErrnoException).code ?? String(error));
  }
}

function readFailure(code: string): { readonly message: string; readonly hint?: string } {
  switch (code) {
    case "ENOENT":
      return { message: "the file does not exist" };
    case "EISDIR":
      return {
        message: "this is a folder, expected a YAML file",
        hint: "Name the file in it, for example holdfast.yaml.",
      };
    case "EACCES":
      return { message: "this user may not read the file" };
    default:
      return { message: `the file can not be read (${code})` };
  }
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
