import { join } from "node:path";
import type { Command } from "commander";
import { draftManifest } from "../../models/draft.ts";
import { Library, type LibraryModel } from "../../models/library.ts";
import { bundledModels } from "../assets.ts";
import { childPath } from "../children.ts";
import { DaemonError, EXIT_DONE } from "../errors.ts";
import { dataDirectory, type Where } from "./data.ts";
import { bytes, painter, safe, table } from "./format.ts";
import type { Io, RunVerb } from "./io.ts";
import { countOption } from "./times.ts";

interface Options extends Where {
  readonly json?: boolean;
  readonly name?: string;
  readonly modelVersion?: number;
}

export const verb = (io: Io) => (program: Command, run: RunVerb) => {
  const models = program.command("models").description("the library of models on this gateway: list, add, show");
  const where = (command: Command): Command =>
    command
      .option("--config <file>", "the gateway's file")
      .option("--data <directory>", "its data directory")
      .option("--json", "as JSON");
  const library = (options: Options): Library =>
    new Library(join(dataDirectory(options, io), "models"), bundledModels());
  where(
    models.command("list", { isDefault: true }).description("models of the library and those that came with Holdfast"),
  ).action((options: Options) => run(async () => list(await library(options).list(), options, io)));
  where(
    models
      .command("add <file>")
      .description("take in an ONNX file with a drafted manifest, or a folder with model.onnx and manifest.json"),
  )
    .option("--name <name>", "the model's name (default: the file's)")
    .option("--model-version <n>", "its version (default: 1)", countOption)
    .addHelpText("after", "\nExample:\n  holdfast models add pump-anomaly.onnx --name pump-anomaly")
    .action((file: string, options: Options) => run(() => add(file, library(options), options, io)));
  where(models.command("show <name>").description("one model's manifest"))
    .option("--model-version <n>", "which version (default: the newest)", countOption)
    .action((name: string, options: Options) => run(() => show(name, library(options), options, io)));
};

function list(found: Awaited<ReturnType<Library["list"]>>, options: Options, io: Io): number {
  const models = found.models.map(({ manifest, origin, directory }) => ({
    name: manifest.name,
    version: manifest.version,
    digest: manifest.digest,
    origin,
    inputs: inputCount({ manifest }),
    sizeBytes: manifest.sizeBytes,
    licence: manifest.licence,
    directory,
  }));
  if (options.json === true) io.out(`${JSON.stringify({ models, broken: found.broken })}\n`);
  else {
    const paint = painter(io);
    io.out(
      table(
        [
          { title: "model" },
          { title: "version", right: true },
          { title: "inputs", right: true },
          { title: "size", right: true },
          { title: "origin" },
          { title: "digest" },
        ],
        models.map((one) => [
          one.name,
          String(one.version),
          String(one.inputs),
          bytes(one.sizeBytes),
          one.origin,
          one.digest.slice(0, 19),
        ]),
        paint,
        "no models",
      ),
    );
    for (const one of found.broken) io.out(`${paint("unusable", "red")} ${one.directory}: ${safe(one.reason, 200)}\n`);
  }
  return EXIT_DONE;
}

function inputCount({ manifest }: Pick<LibraryModel, "manifest">): number {
  return manifest.inputs.reduce((sum, input) => sum + input.features.length, 0);
}

async function add(file: string, library: Library, options: Options, io: Io): Promise<number> {
  if (!file.endsWith(".onnx")) {
    const added = await library.add(file);
    told(added, [], options, io);
    return EXIT_DONE;
  }
  const draft = await draftManifest(file, {
    hostPath: childPath("models/host/main"),
    name: options.name,
    version: options.modelVersion,
  });
  told(await library.addDraft(file, draft), draft.notes, options, io);
  return EXIT_DONE;
}

function told(added: LibraryModel, notes: readonly string[], options: Options, io: Io): void {
  const { manifest, directory } = added;
  if (options.json === true) {
    io.out(
      `${JSON.stringify({ name: manifest.name, version: manifest.version, digest: manifest.digest, directory, notes })}\n`,
    );
    return;
  }
  io.out(`${manifest.name} ${manifest.version} is in the library: ${directory}\n`);
  if (notes.length === 0) return;
  io.out(
    `The manifest was drafted from the file. Look it over in ${join(directory, "manifest.json")}:\n${notes.map((note) => `  - ${note}\n`).join("")}`,
  );
}

async function show(name: string, library: Library, options: Options, io: Io): Promise<number> {
  const found = await library.find({ name, version: options.modelVersion });
  if (found === undefined)
    throw new DaemonError("MODEL_UNUSABLE", { model: name }, { hint: "holdfast models list shows what is there." });
  io.out(
    `${JSON.stringify({ ...found.manifest, directory: found.directory }, null, options.json === true ? undefined : 2)}\n`,
  );
  return EXIT_DONE;
}
