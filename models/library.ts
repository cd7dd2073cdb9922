import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ModelError, sentenceOf } from "./errors.ts";
import { type Golden, goldenSchema } from "./golden.ts";
import { MODEL_FILE } from "./hosted-model.ts";
import type { Manifest } from "./manifest.ts";
import { readManifest } from "./one-model.ts";
import { readOnnx } from "./onnx-file.ts";

/** A model on disk, ready to be loaded. */
export interface LibraryModel {
  readonly directory: string;
  readonly manifest: Manifest;
  readonly origin: "library" | "bundled";
}

export interface LibraryList {
  readonly models: LibraryModel[];
  /** Folders that hold no usable model, and why. */
  readonly broken: { readonly directory: string; readonly reason: string }[];
}

/** Which model is wanted; without a version the newest. */
export interface Wanted {
  readonly name: string;
  readonly version?: number | undefined;
  readonly digest?: string | undefined;
}

const DIGEST_FOLDER = /^[0-9a-f]{64}$/;
const INCOMING = ".incoming-";
const INCOMING_KEPT_MS = 3_600_000;

/** Models by digest, one folder each, beside those that came with the program. */
export class Library {
  readonly #directory: string;
  readonly #bundled: string | undefined;

  /** `bundled` holds one folder a name, and below it one a version. */
  constructor(directory: string, bundled?: string) {
    this.#directory = directory;
    this.#bundled = bundled;
  }

  async list(): Promise<LibraryList> {
    const list: LibraryList = { models: [], broken: [] };
    for (const folder of await folders(this.#directory)) {
      if (DIGEST_FOLDER.test(folder)) await read(join(this.#directory, folder), "library", list);
    }
    for (const name of this.#bundled === undefined ? [] : await folders(this.#bundled)) {
      const versions = join(this.#bundled ?? "", name);
      for (const version of await folders(versions)) await read(join(versions, version), "bundled", list);
    }
    return list;
  }

  /** The library's own models come before those that came with the program, newer versions before older ones. */
  async find(wanted: Wanted): Promise<LibraryModel | undefined> {
    const { models } = await this.list();
    const fitting = models.filter(
      ({ manifest }) =>
        manifest.name === wanted.name &&
        (wanted.version === undefined || manifest.version === wanted.version) &&
        (wanted.digest === undefined || manifest.digest === wanted.digest),
    );
    const own = fitting.filter((model) => model.origin === "library");
    return (own.length > 0 ? own : fitting).sort((a, b) => b.manifest.version - a.manifest.version)[0];
  }

  /** Checks a model's folder and takes a copy. Taking in what is there already changes nothing. */
  async add(source: string): Promise<LibraryModel> {
    const manifest = await checkModel(source);
    const { models } = await this.list();
    const own = models.filter((model) => model.origin === "library");
    const sameName = own.find(({ manifest: m }) => m.name === manifest.name && m.version === manifest.version);
    const sameFile = own.find(({ manifest: m }) => m.digest === manifest.digest);
    const found = sameName ?? sameFile;
    if (found !== undefined) return this.#known(found, manifest);
    const files = [MODEL_FILE, manifest.golden, ...(manifest.reference === undefined ? [] : [manifest.reference])];
    return this.#take(manifest, async (folder) => {
      for (const file of files) await copyFile(join(source, file), join(folder, file), constants.COPYFILE_FICLONE);
      await writeFile(join(folder, "manifest.json"), await readFile(join(source, "manifest.json")));
    });
  }

  /** Takes in a single file with a manifest and golden vectors that were drafted for it. */
  async addDraft(file: string, draft: { manifest: Manifest; golden: Golden }): Promise<LibraryModel> {
    const folder = join(this.#directory, `${INCOMING}${randomUUID()}`);
    await mkdir(folder, { recursive: true });
    try {
      await copyFile(file, join(folder, MODEL_FILE), constants.COPYFILE_FICLONE);
      await writeFile(join(folder, "manifest.json"), `${JSON.stringify(draft.manifest, null, 2)}\n`);
      await writeFile(join(folder, draft.manifest.golden), `${JSON.stringify(draft.golden, null, 1)}\n`);
      return await this.add(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  #known(found: LibraryModel, manifest: Manifest): LibraryModel {
    const { name, version, digest } = found.manifest;
    if (name === manifest.name && version === manifest.version && digest === manifest.digest) return found;
    const hint = digest === manifest.digest ? undefined : "Give the new one a higher version.";
    throw new ModelError("MODEL_CONFLICT", { found: `The library has ${name} ${version} with ${digest}.` }, { hint });
  }

  /** All or nothing, power cut included: written and synced beside, then renamed. */
  async #take(manifest: Manifest, fill: (folder: string) => Promise<void>): Promise<LibraryModel> {
    const target = join(this.#directory, manifest.digest.slice("sha256:".length));
    const folder = join(this.#directory, `${INCOMING}${randomUUID()}`);
    await this.#clean();
    await mkdir(folder, { recursive: true });
    try {
      await fill(folder);
      // What was copied is checked again: the source may have changed in between.
      await checkModel(folder);
      for (const file of await readdir(folder)) await sync(join(folder, file));
      await sync(folder);
      await rename(folder, target);
      await sync(this.#directory);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    return { directory: target, manifest, origin: "library" };
  }

  async #clean(): Promise<void> {
    for (const folder of await folders(this.#directory)) {
      const path = join(this.#directory, folder);
      if (!folder.startsWith(INCOMING) || Date.now() - (await stat(path)).mtimeMs < INCOMING_KEPT_MS) continue;
      await rm(path, { recursive: true, force: true });
    }
  }
}

/** Reads a model's folder and holds its file, opset and golden vectors against its manifest. */
export async function checkModel(directory: string): Promise<Manifest> {
  const manifest = await readManifest(directory);
  const { opset } = readOnnx(await readModelFile(directory, manifest));
  if (manifest.opset !== undefined && manifest.opset !== opset) {
    throw new ModelError("MODEL_SHAPE", { found: `The file has opset ${opset}, the manifest says ${manifest.opset}.` });
  }
  await checkGolden(join(directory, manifest.golden));
  return manifest;
}

/** The bytes of a model's file, when they are those that its manifest names. */
export async function readModelFile(directory: string, manifest: Manifest): Promise<Buffer> {
  const path = join(directory, MODEL_FILE);
  const bytes = await readOrMissing(path);
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (digest === manifest.digest && bytes.byteLength === manifest.sizeBytes) return bytes;
  const found = `${path} has ${digest} and ${bytes.byteLength} bytes, its manifest says ${manifest.digest} and ${manifest.sizeBytes}.`;
  const hint = "The file was changed or cut short: bring it again, or draft a new manifest.";
  throw new ModelError("MODEL_DIGEST", { found }, { hint });
}

async function checkGolden(path: string): Promise<void> {
  const text = (await readOrMissing(path)).toString("utf8");
  let problem: string | undefined;
  try {
    const parsed = goldenSchema.safeParse(JSON.parse(text));
    if (!parsed.success)
      problem = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
    else if (parsed.data.inputs.length !== parsed.data.outputs.length)
      problem = "It does not have as many outputs as inputs.";
  } catch (cause) {
    problem = cause instanceof Error ? cause.message : String(cause);
  }
  if (problem !== undefined) throw new ModelError("MODEL_GOLDEN", { found: `${path}: ${problem}` });
}

async function readOrMissing(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ModelError("MODEL_MISSING", { found: `${path} can not be read.` }, { cause });
  }
}

async function folders(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch {
    // A library that nobody has put anything into yet.
    return [];
  }
}

async function read(directory: string, origin: LibraryModel["origin"], list: LibraryList): Promise<void> {
  try {
    list.models.push({ directory, manifest: await readManifest(directory), origin });
  } catch (error) {
    list.broken.push({ directory, reason: error instanceof ModelError ? sentenceOf(error) : String(error) });
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
