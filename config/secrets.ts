import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, isAbsolute, join, resolve } from "node:path";
import type { Environment } from "./environment.ts";
import { ConfigError } from "./errors.ts";

export interface SecretPlace {
  readonly environment: Environment;
  /** Relative names mean this folder: the configuration file's. */
  readonly baseDirectory: string;
}

const READ_BY_OTHERS = 0o004;
const LARGEST_SECRET_BYTES = 65_536;

/** The file that a name means: a credential of the service manager, else a path beside the configuration. */
export function secretPath(name: string, { environment, baseDirectory }: SecretPlace): string {
  if (isAbsolute(name)) return name;
  const credentials = environment["CREDENTIALS_DIRECTORY"];
  if (credentials !== undefined && name === basename(name)) {
    const credential = join(credentials, name);
    if (existsSync(credential)) return credential;
  }
  return resolve(baseDirectory, name);
}

/** The secret in a file, without the newline at its end. Throws a `ConfigError` when it can't be had, or all can have it. */
export function readSecret(name: string, place: SecretPlace): string {
  const file = secretPath(name, place);
  const text = read(file).replace(/\r?\n$/, "");
  if (text === "")
    throw new ConfigError("CONFIG_SECRET_EMPTY", { file }, { hint: "Write the secret into it, on one line." });
  return text;
}

function read(file: string): string {
  try {
    const { mode, size } = statSync(file);
    if ((mode & READ_BY_OTHERS) !== 0)
      throw new ConfigError("CONFIG_SECRET_EXPOSED", { file }, { hint: `Run: chmod o-r ${file}` });
    if (size > LARGEST_SECRET_BYTES) throw new ConfigError("CONFIG_SECRET_UNREADABLE", { file, bytes: size });
    return readFileSync(file, "utf8");
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const hint = isMissing
      ? "Names are relative to the configuration file's folder; a plain name is looked for in $CREDENTIALS_DIRECTORY first."
      : "The daemon's user must be allowed to read it.";
    throw new ConfigError(isMissing ? "CONFIG_SECRET_MISSING" : "CONFIG_SECRET_UNREADABLE", { file }, { cause, hint });
  }
}
