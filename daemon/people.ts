import { createHash, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import type { z } from "zod";
import type { personSchema } from "../config/gateway.ts";

type PersonConfig = z.infer<typeof personSchema>;
export type Role = PersonConfig["roles"][number];

/** Somebody who asks for something. */
export interface Person {
  /** As in the gateway's file; "user:NAME" for a user of this machine whom the file does not name. */
  readonly name: string;
  readonly isKnown: boolean;
  readonly roles: readonly Role[];
  /** Why it is not known who this is, where something was wrong. */
  readonly doubt?: "token";
}

/** What needs a role. Stopping and tightening need none. */
export type Deed = "loosen" | "release" | "use" | "approve";

const ROLE_FOR: Readonly<Record<Deed, Role>> = {
  loosen: "operator",
  release: "operator",
  use: "operator",
  approve: "approver",
};

export function may(person: Person, deed: Deed): boolean {
  return person.isKnown && (person.roles.includes("admin") || person.roles.includes(ROLE_FOR[deed]));
}

export interface People {
  /** By the user of the other end; undefined where nobody could find out which. */
  byUid(uid: number | undefined): Person;
  byToken(token: string): Person | undefined;
  /** The person of this name, if the signature over `bytes` is theirs. */
  bySignature(name: string, bytes: Uint8Array, signature: string): Person | undefined;
  /** Still named in the gateway's file, or implicit while it names nobody. */
  named(name: string): Person | undefined;
}

interface Options {
  readonly people: Readonly<Record<string, PersonConfig>>;
  /** The user that runs the daemon. */
  readonly ownUid: number;
  /** Text of /etc/passwd, read afresh each time: users come and go. */
  readonly passwd?: () => string;
}

/** Who may act on this gateway. While nobody is named, root and the daemon's own user may everything. */
export function createPeople({ people, ownUid, passwd = readPasswd }: Options): People {
  const entries = Object.entries(people);
  const known = ([name, { roles }]: [string, PersonConfig]): Person => ({ name, isKnown: true, roles });
  const implicit = (name: string): Person => ({ name, isKnown: true, roles: ["admin"] });
  const isImplicit = (uid: number): boolean => entries.length === 0 && (uid === 0 || uid === ownUid);
  return {
    byUid(uid) {
      if (uid === undefined) return unknown("unknown");
      const users = usersIn(passwd());
      const entry = entries.find(([, { localUser }]) => localUser !== undefined && uidOf(localUser, users) === uid);
      if (entry !== undefined) return known(entry);
      const name = users.find((user) => user.uid === uid)?.name ?? String(uid);
      return isImplicit(uid) ? implicit(name) : unknown(name);
    },
    byToken(token) {
      const given = createHash("sha256").update(token).digest();
      let found: Person | undefined;
      // All of them are compared, so that the time tells nothing.
      for (const entry of entries) {
        const { tokenHash } = entry[1];
        if (tokenHash !== undefined && timingSafeEqual(Buffer.from(tokenHash, "hex"), given)) found ??= known(entry);
      }
      return found;
    },
    bySignature(name, bytes, signature) {
      const entry = entries.find(([one]) => one === name);
      const key = entry?.[1].publicKey;
      return entry !== undefined && key !== undefined && isSigned(key, bytes, signature) ? known(entry) : undefined;
    },
    named(name) {
      const entry = entries.find(([one]) => one === name);
      if (entry !== undefined) return known(entry);
      const uid = uidOf(name, usersIn(passwd()));
      return uid !== undefined && isImplicit(uid) ? implicit(name) : undefined;
    },
  };
}

function unknown(user: string): Person {
  return { name: `user:${user}`, isKnown: false, roles: [] };
}

interface User {
  readonly name: string;
  readonly uid: number;
}

/** Lines of /etc/passwd: name, password, uid, … (passwd(5)). */
function usersIn(text: string): readonly User[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", , uid = ""] = line.split(":");
    return name !== "" && /^\d+$/.test(uid) ? [{ name, uid: Number(uid) }] : [];
  });
}

/** A user that is known elsewhere than in /etc/passwd is given by its number. */
function uidOf(localUser: string, users: readonly User[]): number | undefined {
  const found = users.find((user) => user.name === localUser)?.uid;
  return found ?? (/^\d+$/.test(localUser) ? Number(localUser) : undefined);
}

function readPasswd(): string {
  try {
    return readFileSync("/etc/passwd", "utf8");
  } catch {
    // Without it users have numbers only.
    return "";
  }
}

/** `publicKey`: base64 of the DER form; only Ed25519 (RFC 8032, 8410). */
function isSigned(publicKey: string, bytes: Uint8Array, signature: string): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, "base64"), format: "der", type: "spki" });
    const signed = Buffer.from(signature, "base64");
    return key.asymmetricKeyType === "ed25519" && signed.length === 64 && verify(null, bytes, key, signed);
  } catch {
    // A key that is none verifies nothing.
    return false;
  }
}
