import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ModelError } from "./errors.ts";

/** An input or output of the graph as the file declares it. */
export interface GraphValue {
  readonly name: string;
  /** "tensor", or what it is instead: these can not be fetched. */
  readonly kind: "tensor" | "sequence" | "map" | "optional" | "sparse" | "unknown";
  /** Type of the elements by our name, or the runtime's number for one that we do not know. */
  readonly type: string;
  readonly shape: readonly (number | string)[] | undefined;
}

/** What an ONNX file says of itself, without loading it. */
export interface OnnxFile {
  readonly irVersion: number;
  readonly opset: number;
  readonly domains: Readonly<Record<string, number>>;
  readonly producer: string;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Weights lie in other files, which no digest covers. */
  readonly hasExternalData: boolean;
}

const ELEMENT_TYPES: Record<number, string> = {
  1: "float32",
  2: "uint8",
  3: "int8",
  4: "uint16",
  5: "int16",
  6: "int32",
  7: "int64",
  8: "string",
  9: "bool",
  10: "float16",
  11: "float64",
  12: "uint32",
  13: "uint64",
  16: "bfloat16",
};
const VALUE_KINDS: Record<number, GraphValue["kind"]> = {
  1: "tensor",
  4: "sequence",
  5: "map",
  8: "sparse",
  9: "optional",
};
const MAX_VALUES = 4096;
const MAX_TEXT_BYTES = 65_536;
const DATA_LOCATION_EXTERNAL = 1;

/** Reads the head of a model's bytes. Any bytes give a description or MODEL_FILE, in time linear to their number. */
export function readOnnx(bytes: Uint8Array): OnnxFile {
  const found = {
    irVersion: 0,
    producer: "",
    domains: Object.create(null) as Record<string, number>,
    metadata: Object.create(null) as Record<string, string>,
  };
  let graph: Graph | undefined;
  try {
    fields(new BinaryReader(bytes), bytes.byteLength, (field, wire, reader) => {
      if (field === 1 && wire === WireType.Varint) found.irVersion = Number(reader.int64());
      else if (field === 2 && wire === WireType.LengthDelimited) found.producer = text(reader);
      else if (field === 7 && wire === WireType.LengthDelimited) graph = message(reader, readGraph);
      else if (field === 8 && wire === WireType.LengthDelimited)
        message(reader, (r, end) => readOpset(r, end, found.domains));
      else if (field === 14 && wire === WireType.LengthDelimited)
        message(reader, (r, end) => readEntry(r, end, found.metadata));
      else return false;
      return true;
    });
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    throw new ModelError("MODEL_FILE", { found: "The file is cut short or damaged." }, { cause });
  }
  const opset = found.domains[""] ?? found.domains["ai.onnx"] ?? found.domains["ai.onnx.ml"];
  if (graph === undefined || opset === undefined)
    throw new ModelError("MODEL_FILE", { found: "It has no graph or no opset." });
  const inputs = graph.inputs.filter((input) => !graph?.initializers.has(input.name));
  return { ...found, opset, inputs, outputs: graph.outputs, hasExternalData: graph.hasExternalData };
}

type Field = (field: number, wire: WireType, reader: BinaryReader) => boolean;

/** Calls `take` for each field up to `end`; what it does not take is skipped. */
function fields(reader: BinaryReader, end: number, take: Field): void {
  while (reader.pos < end) {
    const [field, wire] = reader.tag();
    // Groups nest without a length; no ONNX file has any.
    if (wire === WireType.StartGroup || wire === WireType.EndGroup)
      throw new ModelError("MODEL_FILE", { found: "It has a field of a kind that ONNX does not use." });
    if (!take(field, wire, reader)) reader.skip(wire, field);
  }
  if (reader.pos !== end) throw new ModelError("MODEL_FILE", { found: "A part is longer than what holds it." });
}

function message<T>(reader: BinaryReader, read: (reader: BinaryReader, end: number) => T): T {
  const end = reader.uint32() + reader.pos;
  if (end > reader.len) throw new ModelError("MODEL_FILE", { found: "The file is cut short." });
  return read(reader, end);
}

function text(reader: BinaryReader): string {
  const bytes = reader.bytes();
  if (bytes.byteLength > MAX_TEXT_BYTES)
    throw new ModelError("MODEL_FILE", { found: `A text of ${bytes.byteLength} bytes.` });
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

interface Graph {
  readonly inputs: GraphValue[];
  readonly outputs: GraphValue[];
  readonly initializers: Set<string>;
  hasExternalData: boolean;
}

function readGraph(reader: BinaryReader, end: number): Graph {
  const graph: Graph = { inputs: [], outputs: [], initializers: new Set(), hasExternalData: false };
  fields(reader, end, (field, wire) => {
    if (wire !== WireType.LengthDelimited) return false;
    if (field === 5) message(reader, (r, e) => readInitializer(r, e, graph));
    else if (field === 11) graph.inputs.push(message(reader, readValue));
    else if (field === 12) graph.outputs.push(message(reader, readValue));
    else return false;
    if (graph.inputs.length > MAX_VALUES || graph.outputs.length > MAX_VALUES) {
      throw new ModelError("MODEL_FILE", { found: `More than ${MAX_VALUES} inputs or outputs.` });
    }
    return true;
  });
  return graph;
}

function readInitializer(reader: BinaryReader, end: number, graph: Graph): void {
  fields(reader, end, (field, wire) => {
    if (field === 8 && wire === WireType.LengthDelimited) graph.initializers.add(text(reader));
    else if (field === 14 && wire === WireType.Varint)
      graph.hasExternalData ||= reader.int32() === DATA_LOCATION_EXTERNAL;
    else return false;
    return true;
  });
}

function readValue(reader: BinaryReader, end: number): GraphValue {
  let name = "";
  let type: Omit<GraphValue, "name"> = { kind: "unknown", type: "unknown", shape: undefined };
  fields(reader, end, (field, wire) => {
    if (wire !== WireType.LengthDelimited) return false;
    if (field === 1) name = text(reader);
    else if (field === 2) type = message(reader, readType);
    else return false;
    return true;
  });
  return { name, ...type };
}

function readType(reader: BinaryReader, end: number): Omit<GraphValue, "name"> {
  let found: Omit<GraphValue, "name"> = { kind: "unknown", type: "unknown", shape: undefined };
  fields(reader, end, (field, wire) => {
    const kind = VALUE_KINDS[field];
    if (kind === undefined || wire !== WireType.LengthDelimited) return false;
    if (kind !== "tensor") {
      found = { kind, type: kind, shape: undefined };
      return false;
    }
    found = message(reader, readTensorType);
    return true;
  });
  return found;
}

function readTensorType(reader: BinaryReader, end: number): Omit<GraphValue, "name"> {
  let type = "unknown";
  let shape: (number | string)[] | undefined;
  fields(reader, end, (field, wire) => {
    if (field === 1 && wire === WireType.Varint) {
      const number = reader.int32();
      type = ELEMENT_TYPES[number] ?? `type ${number}`;
    } else if (field === 2 && wire === WireType.LengthDelimited) shape = message(reader, readShape);
    else return false;
    return true;
  });
  return { kind: "tensor", type, shape };
}

function readShape(reader: BinaryReader, end: number): (number | string)[] {
  const shape: (number | string)[] = [];
  fields(reader, end, (field, wire) => {
    if (field !== 1 || wire !== WireType.LengthDelimited) return false;
    if (shape.length >= 64) throw new ModelError("MODEL_FILE", { found: "A tensor of more than 64 dimensions." });
    shape.push(message(reader, readDimension));
    return true;
  });
  return shape;
}

function readDimension(reader: BinaryReader, end: number): number | string {
  let dimension: number | string = "?";
  fields(reader, end, (field, wire) => {
    if (field === 1 && wire === WireType.Varint) dimension = Number(reader.int64());
    else if (field === 2 && wire === WireType.LengthDelimited) dimension = text(reader);
    else return false;
    return true;
  });
  return dimension;
}

function readOpset(reader: BinaryReader, end: number, domains: Record<string, number>): void {
  let domain = "";
  let version = 0;
  fields(reader, end, (field, wire) => {
    if (field === 1 && wire === WireType.LengthDelimited) domain = text(reader);
    else if (field === 2 && wire === WireType.Varint) version = Number(reader.int64());
    else return false;
    return true;
  });
  domains[domain] = version;
}

function readEntry(reader: BinaryReader, end: number, entries: Record<string, string>): void {
  let key = "";
  let value = "";
  fields(reader, end, (field, wire) => {
    if (wire !== WireType.LengthDelimited) return false;
    if (field === 1) key = text(reader);
    else if (field === 2) value = text(reader);
    else return false;
    return true;
  });
  if (key !== "") entries[key] = value;
}
