import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { createVoice } from "../../fleet/voice.ts";
import { readAnswer } from "../../sync/answers.ts";
import { fleetKeys } from "../../sync/fleet-keys.ts";
import type { SeqRange, Welcome } from "../../sync/messages.ts";
import { MOST_MESSAGE_BYTES } from "../../sync/messages.ts";
import { signerOf } from "../../sync/signing.ts";
import { SESSION } from "../support/fleet-batches.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const voice = createVoice("north", signerOf(privateKey, publicKey), () => 1_795_843_907_000.5);
const keys = fleetKeys([publicKey.export({ type: "spki", format: "der" }).toString("base64")]);
const to = { fleet: "north", gateway: "plant-7" };

const position = (at: number, beyond: readonly SeqRange[]) => ({
  ...{ gateway: "plant-7", epoch: at.toString(16).padStart(16, "0"), stream: 1, contiguous: 4_000_000_000 },
  ...{ beyond, refused: [] },
});

test("a gateway takes what is said to it, and only one who has the key could have said it", () => {
  const said = voice.acknowledge(position(1, [[7, 9]]), SESSION, 1000);
  expect(said.topic).toBe("holdfast/v1/north/plant-7/down/ack");
  expect(readAnswer(Buffer.from(said.payload), keys, to)).toMatchObject({
    kind: "ack",
    ranges: [[7, 9]],
    slowMs: 1000,
  });
  const forged = Buffer.from(said.payload.replace("4000000000", "4000000001"));
  expect(() => readAnswer(forged, keys, to)).toThrow();
});

test("a welcome is one that a gateway can read, however many streams have however many holes", () => {
  const holes = Array.from({ length: 4000 }, (_, at): SeqRange => [5_000_000_000 + at * 2, 5_000_000_000 + at * 2]);
  const positions = Array.from({ length: 512 }, (_, at) => position(at, holes));
  const { payload } = voice.welcome("plant-7", SESSION, positions);
  expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(MOST_MESSAGE_BYTES);
  const welcome = readAnswer(Buffer.from(payload), keys, to) as Welcome;
  expect(welcome.positions).toHaveLength(512);
  expect(welcome.positions[0]?.ranges.length).toBe(256);
});
