import { createConnection } from "node:net";
import { FleetError } from "../errors.ts";
import type { Ask } from "./questions.ts";

/** Asks the process that has the embedded database open; undefined when none answers. */
export async function askServer(path: string): Promise<{ ask: Ask; close: () => void } | undefined> {
  const socket = createConnection(path);
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  });
  if (!isOpen) return undefined;
  const waiting: { resolve: (value: never) => void; reject: (error: Error) => void }[] = [];
  let text = "";
  socket.setEncoding("utf8");
  const gone = (): void => {
    for (const one of waiting.splice(0))
      one.reject(new FleetError("FLEET_BUSY", { socket: path, reason: "it ended without an answer" }));
  };
  socket.on("error", gone);
  socket.on("close", gone);
  socket.on("data", (piece: string) => {
    text += piece;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n")) {
      const { answer, error } = JSON.parse(text.slice(0, at)) as { answer?: never; error?: string };
      text = text.slice(at + 1);
      const one = waiting.shift();
      if (error === undefined) one?.resolve(answer as never);
      else one?.reject(new FleetError("FLEET_DATABASE", { reason: error }));
    }
  });
  return {
    ask: (question, asked) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        socket.write(`${JSON.stringify({ question, asked })}\n`);
      }),
    close: () => socket.destroy(),
  };
}
