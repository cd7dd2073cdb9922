import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readOnnx } from "../../models/onnx-file.ts";
import { modelDirectory } from "./support.ts";

const bytesOf = (name: string): Buffer => readFileSync(`${modelDirectory(name)}/model.onnx`);

describe("the head of an ONNX file", () => {
  it("says opset, producer, inputs and outputs, sequences among them", () => {
    expect(readOnnx(bytesOf("zipmap"))).toMatchObject({
      irVersion: 8,
      opset: 17,
      domains: { "": 17, "ai.onnx.ml": 3 },
      producer: "fixtures",
      hasExternalData: false,
      inputs: [{ name: "x", kind: "tensor", type: "float32", shape: ["N", 2] }],
      outputs: [
        { name: "label", kind: "tensor", type: "int64", shape: ["N"] },
        { name: "probabilities", kind: "sequence", shape: undefined },
      ],
    });
    expect(readOnnx(bytesOf("mixed")).inputs.map((input) => input.type)).toEqual([
      "int64",
      "bool",
      "string",
      "float64",
      "int32",
    ]);
    expect(readOnnx(bytesOf("fixed-one")).inputs[0]?.shape).toEqual([1, 4]);
  });

  it("carries the metadata that the runtime does not give", () => {
    // Field 14, a message of key (1) and value (2).
    const entry = Buffer.concat([
      Buffer.from([0x0a, 3]),
      Buffer.from("key"),
      Buffer.from([0x12, 5]),
      Buffer.from("value"),
    ]);
    const bytes = Buffer.concat([bytesOf("linear"), Buffer.from([0x72, entry.byteLength]), entry]);
    expect(readOnnx(bytes).metadata).toEqual({ key: "value" });
  });

  it("knows weights in another file", () => {
    // A graph (7) with an initializer (5) whose data_location (14) is EXTERNAL (1), and an opset (8).
    const bytes = Buffer.from([0x3a, 0x04, 0x2a, 0x02, 0x70, 0x01, 0x42, 0x02, 0x10, 0x11]);
    expect(readOnnx(bytes)).toMatchObject({ hasExternalData: true, opset: 17 });
  });

  it("of a file that is cut short anywhere is refused, or complete", () => {
    const whole = bytesOf("mixed");
    for (let length = 0; length < whole.byteLength; length++) {
      try {
        expect(readOnnx(whole.subarray(0, length)).inputs.length).toBeLessThanOrEqual(5);
      } catch (error) {
        expect(error).toMatchObject({ code: "MODEL_FILE" });
      }
    }
  });

  it("of any bytes is read or refused, quickly", () => {
    const models = readdirSync(modelDirectory("")).map(bytesOf);
    const mutated = fc
      .tuple(fc.nat(models.length - 1), fc.array(fc.tuple(fc.nat(20_000), fc.nat(255)), { minLength: 1, maxLength: 8 }))
      .map(([m, changes]) => {
        const bytes = Buffer.from(models[m] as Buffer);
        for (const [at, value] of changes) bytes[at % bytes.byteLength] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 400 })), (bytes) => {
        try {
          readOnnx(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: "MODEL_FILE" });
        }
      }),
      { numRuns: 3000 },
    );
  });
});
