import { readFileSync } from "node:fs";
import { readSecret, type SecretPlace, secretPath } from "../../config/secrets.ts";

/** Files that the configuration names, read anew each time: a changed password or certificate needs no restart. */
export interface NamedFiles {
  /** A password or a private key. Throws when it can not be read, is empty, or everyone may read it. */
  secret(name: string): string;
  /** A certificate: it may be read by all. */
  text(name: string): string;
}

export function namedFiles(place: SecretPlace): NamedFiles {
  return {
    secret: (name) => readSecret(name, place),
    text: (name) => readFileSync(secretPath(name, place), "utf8"),
  };
}
