import { createHash, timingSafeEqual } from "node:crypto";
import { covers } from "../sources/topics.ts";
import type { NamedFiles } from "./named-files.ts";

export interface BusUser {
  readonly passwordFile: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export interface AccessRules {
  readonly host: string;
  /** Undefined: only on loopback, and only while there are no users. */
  readonly anonymous?: boolean | undefined;
  readonly users: Readonly<Record<string, BusUser>>;
}

/** What one client may do. Topics that begin with $ are the broker's own, for everyone. */
export interface Permission {
  mayPublish(topic: string): boolean;
  maySubscribe(filter: string): boolean;
}

export type Admission =
  | { readonly ok: true; readonly permission: Permission }
  | { readonly ok: false; readonly reason: "wrongPassword" | "notAuthorized" }
  /** Nobody comes in by this name before its password file is put right. */
  | { readonly ok: false; readonly reason: "passwordFile"; readonly cause: unknown };

const everything: Permission = {
  mayPublish: (topic) => !topic.startsWith("$"),
  maySubscribe: (filter) => !filter.startsWith("$"),
};

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Whether strangers may connect. */
export function admitsAnonymous(rules: AccessRules): boolean {
  return rules.anonymous ?? (isLoopback(rules.host) && Object.keys(rules.users).length === 0);
}

/** Whether the bus would stand open on the network without anyone having said so. */
export function isCarelesslyOpen(rules: AccessRules): boolean {
  return !isLoopback(rules.host) && rules.anonymous === undefined && Object.keys(rules.users).length === 0;
}

/** Who is it, and what may they do? Password files are read at each login: a changed one needs no restart. */
export function admit(
  rules: AccessRules,
  files: Pick<NamedFiles, "secret">,
  username: string | undefined,
  password: Buffer | undefined,
): Admission {
  const hasUsers = Object.keys(rules.users).length > 0;
  if (username === undefined || !hasUsers) {
    return admitsAnonymous(rules) ? { ok: true, permission: everything } : { ok: false, reason: "notAuthorized" };
  }
  const user = Object.hasOwn(rules.users, username) ? rules.users[username] : undefined;
  if (user === undefined) return { ok: false, reason: "wrongPassword" };
  try {
    const isRight = isPassword(files.secret(user.passwordFile), password);
    return isRight ? { ok: true, permission: permissionOf(user) } : { ok: false, reason: "wrongPassword" };
  } catch (cause) {
    return { ok: false, reason: "passwordFile", cause };
  }
}

function permissionOf(user: BusUser): Permission {
  return {
    mayPublish: (topic) => everything.mayPublish(topic) && user.publish.some((filter) => covers(filter, topic)),
    maySubscribe: (filter) =>
      everything.maySubscribe(filter) && user.subscribe.some((allowed) => covers(allowed, filter)),
  };
}

/** Compared in constant time; an empty password is none. */
function isPassword(expected: string, given: Buffer | undefined): boolean {
  if (expected === "" || given === undefined) return false;
  return timingSafeEqual(digest(expected), digest(given));
}

function digest(secret: string | Buffer): Buffer {
  return createHash("sha256").update(secret).digest();
}
