import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";

/** Where files with secrets are looked for: beside the configuration, and where the service manager puts credentials. */
export interface SecretPlaces {
  readonly baseDirectory: string;
  readonly credentialsDirectory: string | undefined;
}

/** Reads a file with a secret each time it is needed: a changed password needs no restart. */
export type ReadSecret = (file: string) => string;

export function secretReader(places: SecretPlaces): ReadSecret {
  return (file) => {
    if (isAbsolute(file)) return readFileSync(file, "utf8");
    try {
      return readFileSync(join(places.baseDirectory, file), "utf8");
    } catch (cause) {
      if (places.credentialsDirectory === undefined || (cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
      return readFileSync(join(places.credentialsDirectory, file), "utf8");
    }
  };
}

/** A password is the file's first line: editors put a line end behind it. */
export function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? "";
}
