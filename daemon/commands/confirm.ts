import { createInterface } from "node:readline/promises";

/** Asks a person at the terminal for one line; undefined when it is stopped instead. */
export async function askTerminal(question: string, stop: AbortSignal): Promise<string | undefined> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  // The reader has the terminal, and with it Ctrl-C.
  reader.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    return (await reader.question(question, { signal: stop })).trim();
  } catch (error) {
    if (stop.aborted) return undefined;
    throw error;
  } finally {
    reader.close();
  }
}
