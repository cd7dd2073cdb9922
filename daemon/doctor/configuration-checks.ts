import { resolve } from "node:path";
import { filesBeside } from "../../config/files.ts";
import { firstDenied, READ } from "./account.ts";
import type { Check } from "./check.ts";
import { credentialFacts, credentialFinding, credentialPlace } from "./credentials.ts";
import { type Finding, ok, problem, skipped } from "./finding.ts";
import { modelFindings } from "./model-checks.ts";
import { namedFilesOf } from "./named-files.ts";
import { exists, pathEntries } from "./paths.ts";
import type { Site } from "./site.ts";

const MOST_MISTAKES = 20;

export const configurationChecks: readonly Check[] = [
  { tells: ["configuration.file"], withinMs: 3000, look: fileFindings },
  {
    tells: ["configuration.mistakes", "configuration.last-good"],
    withinMs: 3000,
    look: (site) => [...mistakes(site), lastGood(site)],
  },
  {
    tells: ["configuration.credentials"],
    withinMs: 3000,
    look: (site) => {
      if (site.loaded === undefined) return [skipped("configuration.credentials", "the configuration is not known")];
      const named = namedFilesOf(site.loaded.config);
      if (named.length === 0) return [ok("configuration.credentials", "the configuration names none")];
      return named.map((one) => {
        const place = credentialPlace(one.name, site);
        try {
          return credentialFinding(one, place, credentialFacts(place), site.account);
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          return skipped("configuration.credentials", `this user may not look (${code}): run doctor as root`, one.key);
        }
      });
    },
  },
];

export const modelChecks: readonly Check[] = [
  { tells: ["configuration.models"], withinMs: 12_000, look: modelFindings },
];

function fileFindings({ file, account }: Site): readonly Finding[] {
  if (file === undefined) return [ok("configuration.file", "none: the bundled example is used")];
  return filesBeside(file).map(({ name }) => {
    const entries = pathEntries(name);
    const values = { file: resolve(name), group: account.group };
    if (entries === undefined) {
      const expected = "a YAML file";
      return problem("configuration.file", "missing", {
        subject: name,
        found: "there is no such file",
        expected,
        values,
      });
    }
    const denied = firstDenied(account, entries, READ);
    if (denied === undefined) return ok("configuration.file", `${account.user} may read it`, name);
    const found = `${denied} does not let ${account.user} in`;
    const expected = `${account.user} may read it`;
    return problem("configuration.file", "unreadable", { subject: name, found, expected, values });
  });
}

function mistakes({ problems, basis, file = "" }: Site): readonly Finding[] {
  if (problems.length === 0) return [ok("configuration.mistakes", "none")];
  if (!exists(file)) return [skipped("configuration.mistakes", "there is no file")];
  const goes = basis === "last good" ? "; the other checks go by the last good one" : "";
  return problems.slice(0, MOST_MISTAKES).map((one) => {
    const subject = `${one.file}:${one.line}:${one.column}`;
    const found = `${one.path === "" ? "" : `${one.path}: `}${one.message}${goes}`;
    return problem("configuration.mistakes", "mistake", {
      subject,
      found,
      expected: one.hint ?? "no mistakes",
      values: { file },
    });
  });
}

function lastGood({ problems, status, hasLastGood }: Site): Finding {
  const check = "configuration.last-good";
  if (status?.lastGood === true)
    return problem(check, "in-use", { found: "the daemon runs with the kept copy", expected: "with the file" });
  if (hasLastGood) return ok(check, "a copy is kept");
  if (problems.length === 0) return ok(check, "none is kept yet");
  return problem(check, "none", { found: "no copy that worked is kept", expected: "one, while the file has mistakes" });
}
