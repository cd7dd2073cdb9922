import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { NEAR } from "../cable/network.ts";

const NO_SUCH_NAME = 3;

/** A name server that knows no name at all, or is silent. */
export class NameServer {
  isSilent = false;
  #socket: Socket | undefined;

  async start(): Promise<void> {
    const socket = createSocket("udp4");
    socket.on("message", (query, { address, port }) => {
      if (this.isSilent) return;
      // RFC 1035, 4.1.1: the question comes back with the answer's bit, and the code that there is no such name.
      const answer = Buffer.from(query.subarray(0, 12 + questionBytes(query)));
      answer[2] = 0x81;
      answer[3] = 0x80 | NO_SUCH_NAME;
      answer.fill(0, 6, 12);
      socket.send(answer, port, address);
    });
    socket.bind(53, NEAR);
    await once(socket, "listening");
    this.#socket = socket;
  }

  stop(): void {
    this.#socket?.close();
  }
}

/** A name, its type and its class. */
function questionBytes(query: Buffer): number {
  let at = 12;
  while ((query[at] ?? 0) !== 0) at += 1 + (query[at] ?? 0);
  return at + 5 - 12;
}
