import { existsSync } from "node:fs";
import { isMode, mostRestrictive } from "../modes.ts";
import type { StoreFiles } from "../store/files.ts";
import { controlSchema } from "../store/schema.ts";
import { openForReading } from "../store/sqlite-reader.ts";
import { openForWriting } from "../store/sqlite-writer.ts";

type Row = readonly [scope: string, mode: string];

/**
 * What a person has tightened or switched off since the backup stays so: each scope gets the tighter of both. `archived`
 * are the staged files, which are changed. Gives the scopes in which that counted. Where the modes that were in force can
 * not be read, nothing that the backup has goes beyond observing.
 */
export function keepTighterModes(live: StoreFiles, archived: StoreFiles): readonly string[] {
  const ours = modesIn(live);
  const database = openForWriting(archived.control);
  try {
    database.pragma("synchronous = FULL");
    const theirs = new Map(database.prepare("SELECT scope, mode FROM mode").raw().all() as Row[]);
    const wanted = ours ?? [...theirs.keys(), "gateway"].map((scope): Row => [scope, strictest(scope)]);
    const put = database.prepare("INSERT OR REPLACE INTO mode (scope, mode) VALUES (?, ?)");
    const kept = wanted.filter(([scope, mode]) => tighter(mode, theirs.get(scope)) !== theirs.get(scope));
    database.transaction(() => {
      for (const [scope, mode] of kept) put.run(scope, mode);
    })();
    return kept.map(([scope]) => scope);
  } finally {
    database.close();
  }
}

/** Undefined: there are some, and they can not be read. */
function modesIn({ control, controlCopy }: StoreFiles): readonly Row[] | undefined {
  const paths = [control, controlCopy].filter((path) => existsSync(path));
  for (const path of paths) {
    try {
      const database = openForReading(path, controlSchema);
      try {
        return database.prepare("SELECT scope, mode FROM mode").raw().all() as Row[];
      } finally {
        database.close();
      }
    } catch {
      // Damaged, or of a newer form: the copy is asked next.
    }
  }
  return paths.length === 0 ? [] : undefined;
}

/** Of a mode, or of a switch: `off` is the tighter one. What is not understood counts as observing. */
function tighter(ours: string, theirs: string | undefined): string {
  if (theirs === undefined || ours === theirs) return ours;
  if (ours === "off" || theirs === "off") return "off";
  if (ours === "on" || theirs === "on") return theirs;
  return mostRestrictive([ours, theirs].map((mode) => (isMode(mode) ? mode : "observe")));
}

function strictest(scope: string): string {
  return scope.startsWith("switch:") ? "off" : "observe";
}
