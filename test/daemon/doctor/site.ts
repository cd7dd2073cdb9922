import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LoadedConfig, loadConfig } from "../../../config/load.ts";
import type { Site } from "../../../daemon/doctor/site.ts";

const ALWAYS = `schemaVersion: 1
agents:
  beat:
    sources: [{ kind: schedule, cron: "* * * * *" }]
    rules: [{ id: beat, when: "true" }]
`;

/** A configuration in a folder; without one, in one that is gone again. */
export function loaded(text: string, folder?: string): LoadedConfig {
  const where = folder ?? mkdtempSync(join(tmpdir(), "holdfast-doctor-"));
  try {
    const file = join(where, "holdfast.yaml");
    writeFileSync(file, `${ALWAYS}${text}`);
    const read = loadConfig({ file, environment: {} });
    if (!read.ok) throw new Error(JSON.stringify(read.problems));
    return read;
  } finally {
    if (folder === undefined) rmSync(where, { recursive: true });
  }
}

/** A gateway as doctor sees it, run by this process's own user without systemd. */
export function siteOf(over: Partial<Site> & Pick<Site, "dataDirectory">): Site {
  const uid = process.geteuid?.() ?? 0;
  return {
    ...{ file: undefined, loaded: undefined, basis: "file", problems: [], hasLastGood: false, environment: {} },
    account: { user: "me", group: "me", uid, gids: [process.getegid?.() ?? 0] },
    ...{ isRoot: uid === 0, unit: undefined, credentials: new Map(), status: undefined },
    ...over,
  };
}
