import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

const KEPT_BYTES = 4096;
const FREE_BYTES = 64 * 1024;
const PACE_MS = 5;

/** The beginning of what a program prints. */
export interface Output {
  text(): string;
}

/**
 * Keeps the beginning and reads on, so that the program does not stand still: at a walking pace after the first 64 KiB,
 * so that one that prints for ever takes little of the daemon's time.
 */
export function takeOutput(stream: Readable): Output {
  const kept: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    if (bytes < KEPT_BYTES) kept.push(Buffer.from(chunk.subarray(0, KEPT_BYTES - bytes)));
    bytes += chunk.length;
    if (bytes <= FREE_BYTES) return;
    stream.pause();
    setTimeout(() => stream.resume(), PACE_MS);
  });
  stream.on("error", () => {}); // a pipe that breaks is an output that ends
  // The decoder holds back a character that was cut.
  return { text: () => new StringDecoder("utf8").write(Buffer.concat(kept)) };
}

/** Waits for the end of the streams, a little: a process that fled from its group may hold them open. */
export async function drained(streams: readonly Readable[], limitMs: number): Promise<void> {
  await Promise.all(
    streams.map(
      (stream) =>
        new Promise<void>((resolve) => {
          const over = (): void => {
            clearTimeout(timer);
            stream.destroy();
            resolve();
          };
          const timer = setTimeout(over, limitMs);
          if (stream.readableEnded || stream.destroyed) over();
          else stream.once("end", over).once("close", over);
        }),
    ),
  );
}
