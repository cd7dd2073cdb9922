import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";

/**
 * Ends a connection so that nothing of what is still in its buffers leaves, those of the kernel included where they can
 * be reached: after a plain close the kernel goes on delivering what it has for minutes. Under TLS and WebSockets what
 * the kernel has already taken may still arrive.
 */
export function hangUp(stream: Duplex): void {
  if (stream instanceof Socket && !(stream instanceof TLSSocket) && !stream.destroyed && !stream.connecting) {
    // The library's way would wait for the buffers to be empty first, or say goodbye before it resets.
    stream.end = () => stream;
    stream.resetAndDestroy();
  }
  stream.destroy();
}
