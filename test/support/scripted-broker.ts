import { createServer, type Socket } from "node:net";

export interface ScriptedBroker {
  readonly url: string;
  /** Protocol levels of the CONNECTs that came. */
  readonly connects: number[];
  close(): Promise<void>;
}

/** A broker that answers each CONNECT with the next of the given bytes; "hangUp" closes without an answer. */
export async function scriptedBroker(answers: readonly (readonly number[] | "hangUp")[]): Promise<ScriptedBroker> {
  const connects: number[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (bytes) => {
      // fixed header, length (one or two bytes), "MQTT", then the protocol level
      connects.push(bytes[bytes.indexOf("MQTT") + 4] ?? 0);
      const answer = answers[Math.min(connects.length, answers.length) - 1];
      if (answer === "hangUp" || answer === undefined) socket.destroy();
      else socket.write(Buffer.from(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `mqtt://127.0.0.1:${address.port}`,
    connects,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
