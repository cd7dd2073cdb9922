import { Socket } from "node:net";
import { FrameReader } from "./frames.ts";

// As in models/host/session.ts, or the library sends to its makers what it does here.
process.env["ORT_DISABLE_TELEMETRY"] = "1";
const { InferenceSession, Tensor } = await import("onnxruntime-node");

const [model, widthText] = process.argv.slice(2) as [string, string];
const width = Number(widthText);
const session = await InferenceSession.create(model, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: "0" }, inter_op: { allow_spinning: "0" } } },
});
const input = session.inputNames[0] as string;
const output = session.outputNames[0] as string;

const pipe = new Socket({ fd: 3, readable: true, writable: true });
const waiting: Float32Array[] = [];
let isRunning = false;

async function work(): Promise<void> {
  isRunning = true;
  for (let values = waiting.shift(); values !== undefined; values = waiting.shift()) {
    const rows = values.length / width;
    const result = await session.run({ [input]: new Tensor("float32", values, [rows, width]) });
    const scores = result[output]?.data as Float32Array;
    const frame = Buffer.allocUnsafe(4 + 4 * rows);
    frame.writeUInt32LE(rows, 0);
    Buffer.from(scores.buffer, scores.byteOffset, scores.byteLength).copy(frame, 4);
    pipe.write(frame);
  }
  isRunning = false;
  if (isEnding) pipe.end();
}

let isEnding = false;
const reader = new FrameReader(width, (values) => waiting.push(values));
pipe.on("data", (chunk: Buffer) => {
  reader.push(chunk);
  if (!isRunning) void work();
});
pipe.on("end", () => {
  isEnding = true;
  if (!isRunning) pipe.end();
});
