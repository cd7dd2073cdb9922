import { writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { ModelError, sentenceOf } from "../errors.ts";
import {
  decodeJson,
  EXIT_FRAME,
  EXIT_PROTOCOL,
  encodeAnswer,
  encodeFailed,
  encodeJson,
  type Frame,
  FrameReader,
  FrameType,
  type LoadOrder,
  type LoadReport,
  PROTOCOL_VERSION,
  type Refusal,
} from "./frames.ts";
import { openSession, runtimeVersion, type Session, textOf } from "./session.ts";
import { proveGolden } from "./warm-up.ts";

const PIPE_FD = 3;
/** Under memory pressure the kernel takes a host before the daemon. */
const OOM_SCORE = "500";

interface Loaded {
  readonly order: LoadOrder;
  readonly session: Session;
}

/** The child process: answers frames one after another until its pipe closes. */
class Host {
  readonly #socket: Socket;
  readonly #models = new Map<number, Loaded>();
  readonly #waiting: Frame[] = [];
  #greeted = false;
  #isWorking = false;
  #isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  listen(): void {
    const reader = new FrameReader((frame) => this.#waiting.push(frame));
    this.#socket.on("data", (chunk) => {
      try {
        reader.push(chunk);
      } catch {
        this.#leave(EXIT_FRAME);
      }
      if (!this.#isWorking) void this.#work();
    });
    const close = (): void => {
      this.#isClosed = true;
      if (!this.#isWorking) this.#leave(0);
    };
    this.#socket.on("end", close);
    this.#socket.on("error", close);
    this.#socket.write(encodeJson(FrameType.hello, 0, 0, { protocol: PROTOCOL_VERSION, pid: process.pid }));
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) {
      // Nobody is left to read an answer.
      if (this.#isClosed) break;
      await this.#handle(frame);
    }
    this.#isWorking = false;
    if (this.#isClosed) this.#leave(process.exitCode === undefined ? 0 : Number(process.exitCode));
  }

  async #handle(frame: Frame): Promise<void> {
    if (!this.#greeted) return this.#greet(frame);
    if (frame.type === FrameType.run) return this.#run(frame);
    if (frame.type === FrameType.load) return this.#load(frame);
    if (frame.type === FrameType.unload) return this.#unload(frame);
    this.#leave(EXIT_FRAME);
  }

  /** Nothing holds the process once the pipe is closed; sessions end with it. */
  #leave(code: number): void {
    process.exitCode = code;
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #greet(frame: Frame): void {
    const hello = frame.type === FrameType.hello ? (decodeJson(frame) as { protocol?: unknown }) : {};
    if (hello.protocol !== PROTOCOL_VERSION) {
      this.#leave(EXIT_PROTOCOL);
      return;
    }
    this.#greeted = true;
  }

  async #run(frame: Frame): Promise<void> {
    const model = this.#models.get(frame.model);
    try {
      if (model === undefined) throw new ModelError("MODEL_MISSING");
      const startedMs = performance.now();
      const data = await model.session.run(frame);
      const computeUs = Math.round((performance.now() - startedMs) * 1000);
      this.#socket.write(encodeAnswer(frame, computeUs, model.order.outputs, data));
    } catch (error) {
      this.#socket.write(encodeFailed(frame, error instanceof ModelError ? sentenceOf(error) : textOf(error)));
    }
  }

  async #load(frame: Frame): Promise<void> {
    const order = decodeJson(frame) as LoadOrder;
    let session: Session | undefined;
    try {
      session = await openSession(order);
      const golden = await proveGolden(session, order);
      this.#models.set(frame.model, { order, session });
      const report: LoadReport = {
        residentBytes: process.memoryUsage.rss(),
        opset: session.opset,
        runtime: await runtimeVersion(),
        golden,
      };
      this.#socket.write(encodeJson(FrameType.loaded, frame.request, frame.model, report));
    } catch (error) {
      await session?.release();
      this.#socket.write(encodeJson(FrameType.refused, frame.request, frame.model, refusalOf(error)));
    }
  }

  async #unload(frame: Frame): Promise<void> {
    const model = this.#models.get(frame.model);
    this.#models.delete(frame.model);
    await model?.session.release();
  }
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof ModelError))
    return { code: "MODEL_LOAD", message: new ModelError("MODEL_LOAD").message, found: textOf(error) };
  const { code, message, detail, hint } = error;
  return { code, message, found: typeof detail.found === "string" ? detail.found : "", hint };
}

/** A service manager signals every process of the unit: the daemon decides when its hosts end, by closing the pipe. */
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

try {
  writeFileSync("/proc/self/oom_score_adj", OOM_SCORE);
} catch {
  // Best effort: some containers do not allow it, and all else works without.
}

new Host(new Socket({ fd: PIPE_FD, readable: true, writable: true })).listen();
