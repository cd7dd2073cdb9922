import { fork } from "node:child_process";
import { childPath } from "../children.ts";
import { asWhom } from "./account.ts";
import type { Check } from "./check.ts";
import { type DatabaseFact, databaseFindings } from "./database.ts";
import type { Site } from "./site.ts";

const WITHIN_MS = 12_000;
/** The process is ended before the check is given up, so that what it told counts. */
const GRACE_MS = 1000;

export const databaseChecks: readonly Check[] = [
  {
    tells: ["machine.clock", "storage.log", "storage.control", "storage.audit", "service.mode", "service.outbox"],
    withinMs: WITHIN_MS + GRACE_MS,
    look: async (site) => {
      const facts = await ask(site);
      const { dataDirectory: directory, account, loaded, isRoot } = site;
      const mayWrite = isRoot || process.geteuid?.() === account.uid;
      const hasFleet = loaded?.config.gateway.fleet !== undefined;
      return databaseFindings(facts, {
        directory,
        group: account.group,
        nowMs: Date.now(),
        hasFleet,
        mayWrite,
        withinMs: WITHIN_MS,
      });
    },
  },
];

/**
 * All that the process says until it ends, or is ended. By root it is run as the service's user: what SQLite puts beside
 * a database that is read must be that user's.
 */
function ask(site: Site): Promise<readonly DatabaseFact[]> {
  const child = fork(childPath("daemon/doctor/database-main"), [site.dataDirectory], {
    ...asWhom(site),
    cwd: "/",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const facts: DatabaseFact[] = [];
  child.on("message", (fact) => void facts.push(fact as DatabaseFact));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), WITHIN_MS);
    const end = (): void => {
      clearTimeout(timer);
      resolve(facts);
    };
    child.once("error", reject);
    child.once("close", end);
  });
}
