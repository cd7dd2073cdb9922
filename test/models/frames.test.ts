import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeAnswer,
  decodeJson,
  encodeAnswer,
  encodeFailed,
  encodeJson,
  encodeRun,
  type Frame,
  FrameReader,
  FrameType,
  MAX_FRAME_BYTES,
} from "../../models/host/frames.ts";
import {
  type ElementType,
  elementTypes,
  type InputRow,
  type OutputPlan,
  readTensor,
  rowProblem,
  type TensorData,
} from "../../models/tensors.ts";

const values: Record<ElementType, fc.Arbitrary<number | string | boolean>> = {
  float32: fc.float({ noNaN: true, noDefaultInfinity: true }),
  float64: fc.double({ noNaN: true, noDefaultInfinity: true }),
  int32: fc.integer(),
  int64: fc.oneof(
    fc.maxSafeInteger(),
    fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .filter((n) => !Number.isSafeInteger(Number(n)))
      .map(String),
  ),
  bool: fc.boolean(),
  string: fc.string({ unit: "grapheme", maxLength: 40 }),
};

/** Tensors and rows that fit them; every tensor of width 1 where the answer must hold any type. */
const batches = fc
  .array(fc.record({ type: fc.constantFrom(...elementTypes), width: fc.integer({ min: 1, max: 4 }) }), {
    minLength: 1,
    maxLength: 4,
  })
  .chain((shapes) => {
    const plan: OutputPlan[] = shapes.map(({ type, width }, i) => ({
      name: `o${i}`,
      tensor: `t${i}`,
      type,
      width,
      shape: ["N", width],
    }));
    const row = fc.tuple(...shapes.flatMap(({ type, width }) => Array.from({ length: width }, () => values[type])));
    return fc.record({ plan: fc.constant(plan), rows: fc.array(row, { minLength: 1, maxLength: 6 }) });
  });

function read(bytes: Buffer, chunkBytes = bytes.byteLength): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader((frame) => frames.push(frame));
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) reader.push(bytes.subarray(at, at + chunkBytes));
  return frames;
}

/** What the host does with a batch, with a model that gives its inputs back. */
function echo(run: Frame, plan: readonly OutputPlan[]): Buffer {
  let at = 0;
  const data: TensorData[] = [];
  for (const { type, width } of plan) {
    const tensor = readTensor(type, run.rows * width, run.body, at);
    data.push(tensor.data);
    at = tensor.end;
  }
  expect(at).toBe(run.body.byteLength);
  return encodeAnswer(run, 77, plan, data);
}

describe("frames between daemon and host", () => {
  it("carry rows of every type there and back, whatever chunks they come in", () => {
    fc.assert(
      fc.property(batches, fc.integer({ min: 1, max: 64 }), ({ plan, rows }, chunkBytes) => {
        const width = plan.reduce((sum, tensor) => sum + tensor.width, 0);
        for (const row of rows) expect(rowProblem(plan, width, row)).toBeUndefined();
        const [run] = read(encodeRun(5, 3, plan, rows), chunkBytes);
        expect(run).toMatchObject({ type: FrameType.run, request: 5, model: 3, rows: rows.length });
        const single = plan.filter(
          (tensor) => tensor.width === 1 || (tensor.type !== "string" && tensor.type !== "int64"),
        );
        if (single.length !== plan.length) return;
        const [answer] = read(echo(run as Frame, plan), chunkBytes);
        const decoded = decodeAnswer(answer as Frame, plan);
        expect(decoded).toMatchObject({ computeUs: 77, invalid: undefined });
        expect(decoded.answers).toEqual(rows.map((row) => expected(plan, row)));
      }),
      { numRuns: 300 },
    );
  });

  it("say which rows of an answer are not finite, and only those", () => {
    const plan: OutputPlan[] = [{ name: "score", tensor: "y", type: "float32", width: 2, shape: ["N", 2] }];
    const run: Frame = { type: FrameType.run, request: 1, model: 0, rows: 3, body: Buffer.alloc(0) };
    const [frame] = read(
      encodeAnswer(run, 0, plan, [new Float32Array([1, 2, 3, Number.NaN, Number.NEGATIVE_INFINITY, 6])]),
    );
    expect(decodeAnswer(frame as Frame, plan).invalid).toEqual([
      undefined,
      "score is not finite",
      "score is not finite",
    ]);
  });

  it("several of them come out of one chunk, and JSON and failures among them", () => {
    const run: Frame = { type: FrameType.run, request: 9, model: 2, rows: 1, body: Buffer.alloc(0) };
    const frames = read(
      Buffer.concat([
        encodeJson(FrameType.hello, 0, 0, { protocol: 1 }),
        encodeFailed(run, "größer"),
        encodeJson(FrameType.load, 1, 2, []),
      ]),
    );
    expect(frames.map((frame) => frame.type)).toEqual([FrameType.hello, FrameType.failed, FrameType.load]);
    expect(decodeJson(frames[0] as Frame)).toEqual({ protocol: 1 });
    expect(frames[1]?.body.toString("utf8")).toBe("größer");
  });

  it("are refused at once when their length is absurd", () => {
    const bytes = Buffer.alloc(8);
    for (const length of [0, 8, MAX_FRAME_BYTES + 1, 0xffffffff]) {
      bytes.writeUInt32LE(length, 0);
      expect(() => new FrameReader(() => {}).push(bytes)).toThrow(expect.objectContaining({ code: "FRAME_INVALID" }));
    }
  });

  it("hold nothing but the bytes that came when they are cut short", () => {
    const bytes = encodeJson(FrameType.load, 1, 1, { text: "x".repeat(1000) });
    const reader = new FrameReader(() => expect.unreachable());
    reader.push(bytes.subarray(0, 500));
    expect(reader.pendingBytes).toBe(500);
  });

  it("made of anything give frames or an error, never anything else", () => {
    const plan: OutputPlan[] = [
      { name: "a", tensor: "a", type: "string", width: 1, shape: ["N", 1] },
      { name: "b", tensor: "b", type: "int64", width: 1, shape: ["N", 1] },
    ];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(300), (bytes, rows) => {
        const frame: Frame = { type: FrameType.answer, request: 1, model: 0, rows, body: Buffer.from(bytes) };
        try {
          expect(decodeAnswer(frame, plan).answers.length).toBe(rows);
        } catch (error) {
          expect(error).toMatchObject({ code: "FRAME_INVALID" });
        }
        try {
          read(Buffer.from(bytes));
        } catch (error) {
          expect(error).toMatchObject({ code: "FRAME_INVALID" });
        }
      }),
      { numRuns: 1000 },
    );
  });
});

function expected(plan: readonly OutputPlan[], row: InputRow): Record<string, unknown> {
  const answer: Record<string, unknown> = {};
  let at = 0;
  for (const { name, width } of plan) {
    const cells = row.slice(at, at + width);
    answer[name] = width === 1 ? cells[0] : cells.map(Number);
    at += width;
  }
  return answer;
}
