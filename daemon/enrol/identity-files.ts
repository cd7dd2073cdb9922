import { createPrivateKey, type KeyObject } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { type CertificateFacts, certificateFacts, fits, keyPem, newKey } from "../../sync/certificate-facts.ts";
import { crashpoint } from "../crashpoint.ts";
import { syncFolder, writeDurably } from "../durable-file.ts";
import { JoinError } from "./errors.ts";

const SECRET = 0o600;
const PUBLIC = 0o644;
const JOINED_WITH = "joined-with";
const NUMBER = /^[1-9]\d*$/;

export interface Identity {
  readonly certificate: string;
  readonly key: string;
  readonly facts: CertificateFacts;
}

/**
 * A gateway's key and certificate in `<data>/fleet`. Each pair is a folder of its own, 1, 2, …; `current` points to one
 * of them, and `gateway.key` and `gateway.pem` go through it: to change the pair is one rename, and whenever the power
 * goes, both names mean files that belong together. What is asked for lies in `next` until its certificate has come.
 */
export class IdentityFiles {
  readonly folder: string;

  constructor(dataDirectory: string) {
    this.folder = join(dataDirectory, "fleet");
  }

  /** Where the daemon finds them. */
  get paths(): { readonly ca: string; readonly certificate: string; readonly key: string } {
    const { folder } = this;
    const [ca, certificate, key] = ["fleet-ca.pem", "gateway.pem", "gateway.key"].map((name) => join(folder, name));
    return { ca: ca ?? "", certificate: certificate ?? "", key: key ?? "" };
  }

  /** Undefined: there is none. Throws JOIN_IDENTITY for one that can not be used. */
  current(): Identity | undefined {
    const { certificate, key } = this.paths;
    if (!existsSync(key) && !existsSync(certificate)) return undefined;
    return read(certificate, key);
  }

  /** The key that a certificate is asked for; made where none waits, and the same until the certificate has come. */
  nextKey(): KeyObject {
    const file = join(this.#next, "gateway.key");
    try {
      return createPrivateKey(readFileSync(file));
    } catch {
      // None waits, or only the beginning of one.
      this.dropNext();
    }
    mkdirSync(this.#next, { recursive: true, mode: 0o700 });
    const key = newKey();
    crashpoint("identity.key.before");
    writeDurably(file, keyPem(key), SECRET);
    crashpoint("identity.key.after");
    return key;
  }

  /** Whether a key waits for its certificate. */
  hasNext(): boolean {
    return existsSync(join(this.#next, "gateway.key"));
  }

  dropNext(): void {
    rmSync(this.#next, { recursive: true, force: true });
  }

  /** Something to remember until the certificate comes. */
  noteNext(text: string): void {
    writeDurably(join(this.#next, "enrolment.json"), text, SECRET);
  }

  noted(): string | undefined {
    const file = join(this.#next, "enrolment.json");
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  /**
   * The waiting key has its certificate, and both are what is used from now on. `enrolment`: the name of what it joined
   * with, so that it does not ask again with something that can be used once.
   */
  finish(certificate: string, ca?: string, enrolment?: string): Identity {
    const key = readFileSync(join(this.#next, "gateway.key"), "utf8");
    if (!fits(key, certificate)) throw new JoinError("JOIN_ANSWER", { reason: "it is for another key" });
    if (ca !== undefined) writeDurably(this.paths.ca, ca, PUBLIC);
    writeDurably(join(this.#next, "gateway.pem"), certificate, PUBLIC);
    if (enrolment !== undefined) writeDurably(join(this.#next, JOINED_WITH), enrolment, PUBLIC);
    crashpoint("identity.certificate.after");
    rmSync(join(this.#next, "enrolment.json"), { force: true });
    const number = String(Math.max(0, ...this.#numbers()) + 1);
    renameSync(this.#next, join(this.folder, number));
    crashpoint("identity.moved");
    this.#use(number);
    return read(join(this.folder, number, "gateway.pem"), join(this.folder, number, "gateway.key"));
  }

  /** What the current pair was made with; undefined: renewed since, or made in another way. */
  joinedWith(): string | undefined {
    const file = join(this.folder, "current", JOINED_WITH);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  /** Whether there is another pair than the current one. */
  hasOther(): boolean {
    return this.#other() !== undefined;
  }

  /** From the one pair to the other. Which of them works shows at the next connection. */
  swap(): boolean {
    const other = this.#other();
    if (other === undefined) return false;
    this.#use(other);
    return true;
  }

  /** The current pair works: all others are removed. */
  settle(): void {
    const own = this.#current();
    for (const number of this.#numbers())
      if (String(number) !== own) rmSync(join(this.folder, String(number)), { recursive: true, force: true });
  }

  get #next(): string {
    return join(this.folder, "next");
  }

  #current(): string | undefined {
    try {
      return readlinkSync(join(this.folder, "current"));
    } catch {
      return undefined;
    }
  }

  /** The newest of the others: a power cut may have left one that was never used. */
  #other(): string | undefined {
    const own = this.#current();
    const whole = this.#numbers().filter(
      (number) => String(number) !== own && isWhole(join(this.folder, String(number))),
    );
    return whole.length === 0 || own === undefined ? undefined : String(Math.max(...whole));
  }

  #numbers(): number[] {
    return existsSync(this.folder)
      ? readdirSync(this.folder)
          .filter((name) => NUMBER.test(name))
          .map(Number)
      : [];
  }

  #use(number: string): void {
    // First what goes through `current`: as long as that is not there, there is no identity.
    for (const name of ["gateway.key", "gateway.pem"]) this.#point(name, join("current", name));
    this.#point("current", number);
    syncFolder(this.folder);
  }

  #point(name: string, to: string): void {
    const path = join(this.folder, name);
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && readlinkSync(path) === to) return;
    rmSync(`${path}.tmp`, { force: true });
    symlinkSync(to, `${path}.tmp`);
    crashpoint(`identity.${name}.before`);
    renameSync(`${path}.tmp`, path);
    crashpoint(`identity.${name}.after`);
  }
}

function isWhole(folder: string): boolean {
  try {
    read(join(folder, "gateway.pem"), join(folder, "gateway.key"));
    return true;
  } catch {
    return false;
  }
}

function read(certificateFile: string, keyFile: string): Identity {
  try {
    const [certificate, key] = [readFileSync(certificateFile, "utf8"), readFileSync(keyFile, "utf8")];
    if (!fits(key, certificate))
      throw new JoinError("JOIN_IDENTITY", { key: keyFile, reason: "it is not the certificate's" });
    return { certificate, key, facts: certificateFacts(certificate) };
  } catch (cause) {
    if (cause instanceof JoinError) throw cause;
    throw new JoinError("JOIN_IDENTITY", { certificate: certificateFile }, { cause });
  }
}
