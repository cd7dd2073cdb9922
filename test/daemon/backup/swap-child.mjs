// Restores a backup or resets a directory, and is killed at a crashpoint.
import { openSync } from "node:fs";

const { dist, data, archive, what, point } = JSON.parse(process.argv[2]);
const { armCrashpoint } = await import(`${dist}/daemon/crashpoint.js`);
const { restoreBackup } = await import(`${dist}/daemon/backup/restore.js`);
const { resetData } = await import(`${dist}/daemon/backup/reset.js`);
armCrashpoint(point);
const common = { dataDirectory: data, wallMs: Date.now(), confirm: async () => true };
if (what === "restore")
  await restoreBackup({
    ...common,
    file: openSync(archive, "r"),
    acceptBrokenChain: false,
    withConfig: false,
    stop: new AbortController().signal,
    progress: () => undefined,
  });
else await resetData({ ...common, keepIdentity: false, releaseLatch: false, discardUnsent: false, hasFleet: false });
