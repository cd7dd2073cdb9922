import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ModelError, type ModelErrorCode, modelErrors } from "./errors.ts";
import {
  decodeAnswer,
  decodeJson,
  encodeJson,
  encodeRun,
  type Frame,
  FrameType,
  type LoadOrder,
  type LoadReport,
  type Refusal,
} from "./host/frames.ts";
import { type HostEnd, HostProcess, type RunAs } from "./host-process.ts";
import { loadOrder, MODEL_FILE } from "./hosted-model.ts";
import { type Manifest, parseManifest, planOf } from "./manifest.ts";
import { type Answer, type InputRow, rowProblem } from "./tensors.ts";

export type { InputRow } from "./tensors.ts";

/** A model alone in a host of its own, for commands: no queue, no second chance. */
export interface OneModel {
  readonly report: LoadReport;
  /** Runs the rows as one batch. */
  run(rows: readonly InputRow[]): Promise<Answer[]>;
  close(): Promise<void>;
}

export interface OneModelOptions {
  /** Absolute path of the compiled models/host/main.js. */
  readonly hostPath: string;
  readonly timeoutMs?: number;
  /** As whom the host runs; by default as this process. */
  readonly runAs?: RunAs;
}

const TIMEOUT_MS = 20_000;

/** Starts a host with this one model. */
export async function openModel(order: LoadOrder, options: OneModelOptions): Promise<OneModel> {
  const host = new Conversation(options.hostPath, options.timeoutMs ?? TIMEOUT_MS, options.runAs);
  try {
    await host.ready;
    const loaded = await host.ask((request) => encodeJson(FrameType.load, request, 0, order));
    if (loaded.type !== FrameType.loaded) throw refusalError(decodeJson(loaded) as Refusal);
    return {
      report: decodeJson(loaded) as LoadReport,
      run: (rows) => run(host, order, rows),
      close: () => host.close(),
    };
  } catch (error) {
    await host.close();
    throw error;
  }
}

async function run(host: Conversation, order: LoadOrder, rows: readonly InputRow[]): Promise<Answer[]> {
  const width = order.inputs.reduce((sum, input) => sum + input.width, 0);
  for (const row of rows) {
    const problem = rowProblem(order.inputs, width, row);
    if (problem !== undefined) throw new ModelError("MODEL_INPUT", { found: problem });
  }
  const frame = await host.ask((request) => encodeRun(request, 0, order.inputs, rows));
  if (frame.type !== FrameType.answer) throw new ModelError("MODEL_RUN", { found: frame.body.toString("utf8") });
  const { answers, invalid } = decodeAnswer(frame, order.outputs);
  const bad = invalid?.find((reason) => reason !== undefined);
  if (bad !== undefined) throw new ModelError("MODEL_RUN", { found: bad });
  return answers;
}

/** Loads a model in a fresh host, runs the row `batch` times in one batch, and ends the host: the same answer, bit for bit. */
export async function runOnce(
  directory: string,
  row: InputRow,
  batch: number,
  options: OneModelOptions,
): Promise<Answer> {
  const manifest = await readManifest(directory);
  const plan = planOf(manifest);
  const rows = new Array<InputRow>(Math.max(1, Math.min(batch, plan.batchRows))).fill(row);
  const model = await openModel(loadOrder(join(directory, MODEL_FILE), manifest, plan, undefined), options);
  try {
    const [answer] = await model.run(rows);
    return answer ?? {};
  } finally {
    await model.close();
  }
}

/** The manifest of a model's folder; MODEL_MISSING or MODEL_MANIFEST with every mistake. */
export async function readManifest(directory: string): Promise<Manifest> {
  const path = join(directory, "manifest.json");
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    if (cause instanceof SyntaxError)
      throw new ModelError("MODEL_MANIFEST", { found: `${path}: ${cause.message}` }, { cause });
    throw new ModelError("MODEL_MISSING", { found: `${path} can not be read.` }, { cause });
  }
  const parsed = parseManifest(value);
  if (parsed.ok) return parsed.manifest;
  throw new ModelError("MODEL_MANIFEST", {
    found: `${path}: ${parsed.problems.join("; ")}`,
    problems: parsed.problems,
  });
}

function refusalError(refusal: Refusal): ModelError {
  const code = refusal.code in modelErrors ? (refusal.code as ModelErrorCode) : "MODEL_LOAD";
  return new ModelError(code, { found: refusal.found }, { hint: refusal.hint });
}

/** One question at a time to a host, each with a time limit. */
class Conversation {
  readonly ready: Promise<void>;
  readonly #host: HostProcess;
  readonly #timeoutMs: number;
  readonly #gone: Promise<void>;
  #request = 0;
  #answered: ((frame: Frame) => void) | undefined;
  #failed: ((error: ModelError) => void) | undefined;
  #isClosing = false;

  constructor(hostPath: string, timeoutMs: number, runAs?: RunAs) {
    this.#timeoutMs = timeoutMs;
    let greeted: () => void = () => {};
    let gone: () => void = () => {};
    this.#gone = new Promise((resolve) => {
      gone = resolve;
    });
    this.ready = this.#limited((resolve) => {
      greeted = () => resolve(undefined);
    }).then(() => {});
    this.#host = new HostProcess(
      hostPath,
      {
        ready: () => greeted(),
        frame: (frame) => this.#answered?.(frame),
        gone: (end) => {
          this.#failed?.(goneError(end));
          gone();
        },
      },
      runAs,
    );
  }

  async ask(encode: (request: number) => Buffer): Promise<Frame> {
    const frame = await this.#limited<Frame>((resolve) => {
      this.#answered = resolve;
      this.#host.send(encode(++this.#request));
    });
    return frame;
  }

  async close(): Promise<void> {
    if (!this.#isClosing) this.#host.end();
    this.#isClosing = true;
    const timer = setTimeout(() => this.#host.kill(), 1000);
    await this.#gone;
    clearTimeout(timer);
  }

  #limited<T>(begin: (resolve: (value: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#host.kill();
        reject(new ModelError("HOST_TIMEOUT", { found: `Nothing came within ${this.#timeoutMs} ms.` }));
      }, this.#timeoutMs);
      this.#failed = (error) => {
        clearTimeout(timer);
        reject(error);
      };
      begin((value) => {
        clearTimeout(timer);
        this.#failed = undefined;
        resolve(value);
      });
    });
  }
}

function goneError(end: HostEnd): ModelError {
  if (end.isProtocolMismatch) return new ModelError("HOST_PROTOCOL");
  const found = end.signal === null ? `It ended with code ${end.code}.` : `It was ended by ${end.signal}.`;
  return new ModelError("HOST_GONE", { found, lastWords: end.lastWords });
}
