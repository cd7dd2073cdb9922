import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type CertificateFacts, certificateFacts } from "../../sync/certificate-facts.ts";
import { makeFolder, names, writeOnce } from "./kept.ts";

/** A token as the fleet keeps it: its hash is the file's name, and the token itself is nowhere. */
export interface Token {
  readonly gateway: string;
  readonly expiresAt: number;
  /** How long the gateway's certificates live. */
  readonly certificateMs: number;
}

export interface Issued extends CertificateFacts {
  readonly pem: string;
}

/**
 * What a fleet's CA has given and taken back: one file for each thing, made once and never changed, so that several
 * processes may do it at one time and a crash leaves nothing half done.
 */
export class Ledger {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    for (const part of ["tokens", "used", "issued", "revoked"]) makeFolder(join(folder, part), 0o700);
  }

  giveToken(token: string, what: Token): void {
    writeOnce(this.#file("tokens", hashOf(token)), JSON.stringify(what), 0o600);
  }

  token(token: string): Token | undefined {
    return this.#read(this.#file("tokens", hashOf(token))) as Token | undefined;
  }

  /** The token is this key's from now on; false where it is another one's. */
  useToken(token: string, keyHash: string): boolean {
    const file = this.#file("used", hashOf(token));
    return (
      writeOnce(file, JSON.stringify({ keyHash })) || (this.#read(file) as { keyHash?: string }).keyHash === keyHash
    );
  }

  /** A token that nobody used yet is nobody's any more. */
  voidTokens(gateway: string): number {
    let count = 0;
    for (const name of names(join(this.#folder, "tokens"), ".json")) {
      const token = this.#read(join(this.#folder, "tokens", name)) as Token;
      if (token.gateway === gateway && writeOnce(join(this.#folder, "used", name), JSON.stringify({ keyHash: "" })))
        count += 1;
    }
    return count;
  }

  keep(gateway: string, pem: string): Issued {
    const facts = certificateFacts(pem);
    makeFolder(join(this.#folder, "issued", gateway), 0o700);
    writeOnce(join(this.#folder, "issued", gateway, `${facts.serial}.pem`), pem);
    return { ...facts, pem };
  }

  /** All certificates that were given to a gateway, bootstrap ones too. */
  issued(gateway: string): Issued[] {
    const folder = join(this.#folder, "issued", gateway);
    return names(folder, ".pem").map((name) => {
      const pem = readFileSync(join(folder, name), "utf8");
      return { ...certificateFacts(pem), pem };
    });
  }

  revoke(serial: string, gateway: string, atMs: number): void {
    writeOnce(this.#file("revoked", serial), JSON.stringify({ gateway, atMs }));
  }

  isRevoked(serial: string): boolean {
    return this.#read(this.#file("revoked", serial)) !== undefined;
  }

  revoked(): { readonly serial: string; readonly atMs: number }[] {
    return names(join(this.#folder, "revoked"), ".json").map((name) => {
      const { atMs } = this.#read(join(this.#folder, "revoked", name)) as { atMs: number };
      return { serial: name.slice(0, -".json".length), atMs };
    });
  }

  #file(part: string, name: string): string {
    return join(this.#folder, part, `${name}.json`);
  }

  #read(file: string): unknown {
    try {
      return JSON.parse(readFileSync(file, "utf8"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
