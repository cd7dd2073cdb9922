import { readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { secretPath } from "../../config/secrets.ts";
import { type Account, asAccount, firstDenied, READ } from "./account.ts";
import { type Finding, ok, problem } from "./finding.ts";
import type { NamedFile } from "./named-files.ts";
import { exists, type PathEntry, pathEntries } from "./paths.ts";
import type { Site } from "./site.ts";
import { UNIT } from "./unit.ts";

const CHECK = "configuration.credentials";

/** Where a name's file is, and who reads it. */
export interface CredentialPlace {
  readonly path: string;
  /** systemd reads it, as root, and gives the service a copy of its own. */
  readonly byManager: boolean;
}

/** As the daemon finds it: by its credentials folder first, which doctor knows from the unit. */
export function credentialPlace(
  name: string,
  { environment, loaded, unit, credentials }: Pick<Site, "environment" | "loaded" | "unit" | "credentials">,
): CredentialPlace {
  const source = name === basename(name) ? credentials.get(name) : undefined;
  // A source without a slash is looked for in systemd's own stores.
  if (source?.startsWith("/") === true) return { path: source, byManager: true };
  const running = join("/run/credentials", UNIT, name);
  if (unit !== undefined && name === basename(name) && exists(running)) return { path: running, byManager: true };
  return { path: secretPath(name, { environment, baseDirectory: loaded?.baseDirectory ?? "." }), byManager: false };
}

/** What is in it, as far as the daemon could read it too; undefined: not at all. */
export function credentialText(name: string, site: Site): string | undefined {
  try {
    const { path, byManager } = credentialPlace(name, site);
    const read = (): string => readFileSync(path, "utf8");
    return byManager ? read() : asAccount(site, read);
  } catch {
    // Told by configuration.credentials, with what to do.
    return undefined;
  }
}

export interface CredentialFacts {
  /** Undefined: it is not there. */
  readonly entries: readonly PathEntry[] | undefined;
  readonly bytes: number;
}

export function credentialFacts({ path }: CredentialPlace): CredentialFacts {
  const entries = pathEntries(path);
  return { entries, bytes: entries === undefined ? 0 : statSync(path).size };
}

/** What is wrong with one file, the first thing that the daemon would stumble over. */
export function credentialFinding(
  { key, name, isSecret }: NamedFile,
  { path: file, byManager }: CredentialPlace,
  { entries, bytes }: CredentialFacts,
  account: Account,
): Finding {
  const subject = `${key} (${file})`;
  const values = { file, name, group: account.group };
  if (entries === undefined)
    return problem(CHECK, "missing", { subject, found: "there is no such file", expected: "a file", values });
  if (bytes === 0)
    return problem(CHECK, "empty", { subject, found: "0 bytes", expected: "what it is named for", values });
  const mode = entries.at(-1)?.mode ?? 0;
  const rights = (mode & 0o777).toString(8).padStart(4, "0");
  if (isSecret && (mode & 0o004) !== 0)
    return problem(CHECK, "exposed", { subject, found: `mode ${rights}`, expected: "others may not read it", values });
  const denied = byManager ? undefined : firstDenied(account, entries, READ);
  if (denied === undefined) return ok(CHECK, `${bytes} bytes, mode ${rights}`, subject);
  const expected = `${account.user} may read it`;
  return problem(CHECK, "unreadable", {
    subject,
    found: `${denied} does not let ${account.user} in`,
    expected,
    values,
  });
}
