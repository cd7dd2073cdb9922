import { readFileSync } from "node:fs";
import { ModelError } from "../errors.ts";
import { type Answer, type InputRow, rowProblem } from "../tensors.ts";
import { answerDifference } from "../tolerance.ts";
import { decodeAnswer, encodeAnswer, encodeRun, type Frame, FrameReader, type LoadOrder } from "./frames.ts";
import { type Session, textOf } from "./session.ts";

const WARM_RUNS = 3;

/**
 * Proves the model with the vectors that came with it, through the very code that answers later: in batches, and the
 * first row also alone, since a model whose answer depends on its neighbours in the batch can not be reproduced.
 */
export async function proveGolden(session: Session, order: LoadOrder): Promise<number> {
  if (order.golden === undefined) return 0;
  const { inputs, outputs } = readGolden(order.golden);
  const width = order.inputs.reduce((sum, input) => sum + input.width, 0);
  for (const [i, row] of inputs.entries()) {
    const problem = rowProblem(order.inputs, width, row);
    if (problem !== undefined)
      throw new ModelError("MODEL_GOLDEN", { found: `Row ${i} of the golden vectors has ${problem}.` });
  }
  for (let at = 0; at < inputs.length; at += order.batchRows) {
    const rows = inputs.slice(at, at + order.batchRows);
    compare(await answer(session, order, rows), outputs.slice(at, at + order.batchRows), order, at);
  }
  for (let i = 0; i < WARM_RUNS; i++)
    compare(await answer(session, order, inputs.slice(0, 1)), outputs.slice(0, 1), order, 0);
  return inputs.length;
}

function readGolden(path: string): { inputs: InputRow[]; outputs: Answer[] } {
  let golden: { inputs?: unknown; outputs?: unknown } | null;
  try {
    golden = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ModelError("MODEL_GOLDEN", { found: `${path} can not be read.` }, { cause });
  }
  const { inputs, outputs } = golden ?? {};
  if (!Array.isArray(inputs) || !Array.isArray(outputs) || inputs.length !== outputs.length || inputs.length === 0) {
    throw new ModelError("MODEL_GOLDEN", { found: `${path} does not have as many outputs as inputs.` });
  }
  if (!inputs.every(Array.isArray))
    throw new ModelError("MODEL_GOLDEN", { found: `${path} has a row that is no list.` });
  return { inputs, outputs };
}

async function answer(session: Session, order: LoadOrder, rows: readonly InputRow[]): Promise<Answer[]> {
  const run = frameOf(encodeRun(0, 0, order.inputs, rows));
  let data: Awaited<ReturnType<Session["run"]>>;
  try {
    data = await session.run(run);
  } catch (cause) {
    throw new ModelError("MODEL_GOLDEN", { found: `It failed on its golden vectors: ${textOf(cause)}` }, { cause });
  }
  const { answers, invalid } = decodeAnswer(frameOf(encodeAnswer(run, 0, order.outputs, data)), order.outputs);
  const bad = invalid?.find((reason) => reason !== undefined);
  if (bad !== undefined) throw new ModelError("MODEL_GOLDEN", { found: `${bad}: its weights may be damaged.` });
  return answers;
}

function frameOf(bytes: Buffer): Frame {
  const found: Frame[] = [];
  new FrameReader((frame) => found.push(frame)).push(bytes);
  const [frame] = found;
  if (frame === undefined) throw new ModelError("FRAME_INVALID", { found: "a frame that does not end" });
  return frame;
}

function compare(actual: readonly Answer[], expected: readonly Answer[], order: LoadOrder, first: number): void {
  for (const [i, want] of expected.entries()) {
    const missing = order.outputs.find((output) => !(output.name in want));
    if (missing !== undefined)
      throw new ModelError("MODEL_GOLDEN", { found: `Row ${first + i} of the golden vectors lacks ${missing.name}.` });
    const difference = answerDifference(want, actual[i] ?? {}, order.tolerance);
    if (difference !== undefined) throw new ModelError("MODEL_GOLDEN", { found: `Row ${first + i}: ${difference}.` });
  }
}
