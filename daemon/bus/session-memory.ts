import { readFileSync } from "node:fs";
import { writeDurably } from "../durable-file.ts";

/** Which filters the broker has stored for us: a session outlives configurations, and nobody can ask the broker. */
export interface SessionMemory {
  read(session: string): readonly string[];
  write(session: string, filters: readonly string[]): void;
}

/** Remembers in a file; a missing or broken one is an empty memory, and costs messages that are dropped at once. */
export function fileSessionMemory(file: string): SessionMemory {
  let written: string | undefined;
  return {
    read: (session) => {
      try {
        const stored = JSON.parse(readFileSync(file, "utf8")) as { session?: unknown; filters?: unknown };
        if (stored.session !== session || !Array.isArray(stored.filters)) return [];
        return stored.filters.filter((one): one is string => typeof one === "string");
      } catch {
        return [];
      }
    },
    write: (session, filters) => {
      const text = JSON.stringify({ session, filters });
      if (text === written) return;
      writeDurably(file, text);
      written = text;
    },
  };
}
