import type { OutboxStream } from "../store/uplink-queries.ts";
import { type Finding, ok, problem, skipped } from "./finding.ts";
import { clockFinding } from "./machine.ts";
import { mebibytes } from "./words.ts";

interface Missing {
  readonly about: "records" | "control";
  readonly kind: "missing";
}
interface Failed {
  readonly about: "records" | "control";
  readonly kind: "failed";
  /** Of the store's errors. */
  readonly code: string;
  readonly found: string;
  readonly sqlite: string;
}
interface Read {
  readonly about: "records" | "control";
  readonly kind: "read";
  readonly version: number;
  /** By PRAGMA quick_check. */
  readonly said: string;
}
interface Kept {
  readonly about: "kept";
  readonly modes: Readonly<Record<string, string>>;
  readonly latch: string | undefined;
}
interface Newest {
  readonly about: "newest";
  readonly rows: number;
  readonly wallMs: number | undefined;
}
interface Outbox {
  readonly about: "outbox";
  readonly streams: readonly OutboxStream[];
}
interface Audit {
  readonly about: "audit";
  /** Undefined: it could not be looked at. */
  readonly ok: boolean | undefined;
  readonly rows: number;
  readonly found: string;
}

/** What the process that looks at the databases tells, one after the other. */
export type DatabaseFact = Missing | Failed | Read | Kept | Newest | Outbox | Audit;
type Of<About extends DatabaseFact["about"]> = Extract<DatabaseFact, { readonly about: About }>;

export interface DatabaseSite {
  readonly directory: string;
  readonly group: string;
  readonly nowMs: number;
  /** Whether the fleet is to get what waits. */
  readonly hasFleet: boolean;
  readonly withinMs: number;
  /** Root, or the user that owns the data. */
  readonly mayWrite: boolean;
}

const OLD_MS = 86_400_000;
const NAMES = { "storage.log": "records.db", "storage.control": "control.db" } as const;

/** Findings of what was told until the end, or until the time was over. */
export function databaseFindings(facts: readonly DatabaseFact[], site: DatabaseSite): readonly Finding[] {
  const one = <About extends DatabaseFact["about"]>(about: About): Of<About> | undefined =>
    facts.find((fact): fact is Of<About> => fact.about === about);
  const newest = one("newest");
  return [
    clockFinding(site.nowMs, newest?.wallMs),
    fileFinding("storage.log", one("records"), site, newest === undefined ? "" : `, ${newest.rows} rows`),
    fileFinding("storage.control", one("control"), site, ""),
    auditFinding(one("audit"), one("records"), site),
    modeFinding(one("kept")),
    outboxFinding(one("outbox"), site),
  ];
}

function fileFinding(
  check: "storage.log" | "storage.control",
  fact: Missing | Failed | Read | undefined,
  { directory, group, withinMs, mayWrite }: DatabaseSite,
  more: string,
): Finding {
  const file = NAMES[check];
  if (fact === undefined) return skipped(check, `no answer within ${withinMs / 1000} s`);
  if (fact.kind === "missing") return skipped(check, `${file} is not there yet`);
  const values = { directory, file: `${directory}/${file}`, group };
  if (fact.kind === "read") {
    if (fact.said === "ok") return ok(check, `quick_check ok, schema ${fact.version}${more}`);
    return problem(check, "damaged", {
      found: fact.said.slice(0, 200),
      expected: "quick_check ok",
      values: { ...values, file },
    });
  }
  const { found } = fact;
  if (fact.code === "STORE_NEWER")
    return problem(check, "newer", { found, expected: "a schema that this program knows", values });
  if (fact.code === "STORE_FOREIGN")
    return problem(check, "foreign", { found: "another application id", expected: "Holdfast's", values });
  if (fact.code === "STORE_MISSING") return skipped(check, `${file} is empty yet`);
  if (fact.code === "STORE_CORRUPT")
    return problem(check, "damaged", {
      found: `${found} (${fact.sqlite})`,
      expected: "a database",
      values: { ...values, file },
    });
  // SQLite puts two files beside a log that nobody has open, which this user may not.
  if (!mayWrite) return skipped(check, `this user may not open it (${fact.sqlite}): run doctor as root`);
  return problem(check, "closed", {
    found: `${found} (${fact.sqlite})`,
    expected: "a database that can be read",
    values,
  });
}

function auditFinding(
  fact: Audit | undefined,
  records: Missing | Failed | Read | undefined,
  site: DatabaseSite,
): Finding {
  const check = "storage.audit";
  if (fact === undefined) {
    if (records?.kind === "missing") return skipped(check, "there is no log yet");
    if (records?.kind !== "read" || records.said !== "ok") return skipped(check, "the log can not be read");
    return skipped(
      check,
      `not all of it could be checked within ${site.withinMs / 1000} s: holdfast audit verify takes its time`,
    );
  }
  if (fact.ok === undefined) return skipped(check, fact.found);
  if (fact.ok) return ok(check, `the chain of ${fact.rows} rows holds`);
  return problem(check, "broken", {
    found: fact.found,
    expected: "rows as they were written",
    values: { directory: site.directory },
  });
}

function modeFinding(fact: Kept | undefined): Finding {
  if (fact === undefined) return skipped("service.mode", "control.db does not say");
  const mode = fact.modes["gateway"] ?? "observe";
  return ok("service.mode", mode === "observe" ? "observe: it decides, and does nothing but tell" : mode);
}

function outboxFinding(fact: Outbox | undefined, { hasFleet, nowMs }: DatabaseSite): Finding {
  const check = "service.outbox";
  if (!hasFleet) return skipped(check, "it belongs to no fleet");
  if (fact === undefined) return skipped(check, "the log can not be read");
  const records = fact.streams.reduce((sum, one) => sum + one.records, 0);
  const oldest = Math.min(...fact.streams.flatMap(({ oldestMs }) => oldestMs ?? []));
  if (records === 0 || !Number.isFinite(oldest)) return ok(check, "nothing waits");
  const hours = (nowMs - oldest) / 3_600_000;
  const size = mebibytes(fact.streams.reduce((sum, one) => sum + one.bytes, 0));
  const found = `${records} records (${size}) wait, the oldest for ${hours.toFixed(1)} hours`;
  if (nowMs - oldest <= OLD_MS) return ok(check, found);
  return problem(check, "old", { found, expected: "none that waits for more than a day" });
}
