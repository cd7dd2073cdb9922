import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { keyPem, newKey } from "../../../sync/certificate-facts.ts";
import { authorityCertificate, type Issuer, issuedCertificate } from "../../../sync/certificates.ts";
import { NEAR } from "../cable/network.ts";
import { becomes } from "../claims.ts";

export const HOST = "broker.plant.example";
export const PORT = 8883;
export const USER = "gateway";
export const PASSWORD = "correct horse";
const DAY_MS = 86_400_000;
const PATH = `${process.env["PATH"]}:/usr/sbin`;

/** A server's certificate that is as it should be, or is not. */
export type ServerCertificate = "good" | "other CA" | "expired" | "not yet valid" | "other name" | "ends soon";
export type ClientCertificate = "good" | "expired" | "ends soon";

/** A certificate authority of its own, and what it gives out. */
export class Authority {
  readonly #issuer: Issuer;

  constructor(name: string) {
    this.#issuer = { name, key: newKey() };
  }

  certificate(): Promise<string> {
    return authorityCertificate(this.#issuer, Date.now() - 60 * DAY_MS, Date.now() + 3650 * DAY_MS);
  }

  async issue(
    use: "client" | "server",
    name: string,
    fromMs: number,
    untilMs: number,
  ): Promise<{ key: string; pem: string }> {
    const key = newKey();
    const wanted = {
      commonName: name,
      publicKey: createPublicKey(key),
      use,
      hosts: use === "server" ? [name] : [],
      nowMs: fromMs,
      notAfterMs: untilMs,
    };
    return { key: keyPem(key), pem: await issuedCertificate(this.#issuer, wanted) };
  }
}

/** Mosquitto with TLS and a password, outside of the machine; or something in its place that is worse. */
export class Broker {
  readonly #folder: string;
  readonly #authority = new Authority("plant");
  readonly #stranger = new Authority("stranger");
  #child: ChildProcess | undefined;
  #mute: Server | undefined;
  readonly #held = new Set<Socket>();

  constructor(folder: string) {
    this.#folder = join(folder, "broker");
    mkdirSync(this.#folder, { recursive: true });
  }

  authority(): Promise<string> {
    return this.#authority.certificate();
  }

  client(kind: ClientCertificate): Promise<{ key: string; pem: string }> {
    const now = Date.now();
    const until = { good: now + 300 * DAY_MS, expired: now - DAY_MS, "ends soon": now + 10 * DAY_MS }[kind];
    return this.#authority.issue("client", "gateway", now - 40 * DAY_MS, until);
  }

  async start(kind: ServerCertificate = "good"): Promise<void> {
    const [from, until] = spans(Date.now())[kind];
    const by = kind === "other CA" ? this.#stranger : this.#authority;
    const { key, pem } = await by.issue("server", kind === "other name" ? "other.plant.example" : HOST, from, until);
    const file = (name: string, text: string): string => {
      const path = join(this.#folder, name);
      writeFileSync(path, text);
      return path;
    };
    const passwords = join(this.#folder, "passwords");
    spawnSync("mosquitto_passwd", ["-b", "-c", passwords, USER, PASSWORD], { env: { ...process.env, PATH } });
    const lines = [
      `listener ${PORT} ${NEAR}`,
      `certfile ${file("server.pem", pem)}`,
      `keyfile ${file("server.key", key)}`,
      `cafile ${file("ca.pem", await this.authority())}`,
      "allow_anonymous false",
      `password_file ${passwords}`,
      ...["user root", "persistence false", "log_type none"],
    ];
    const child = spawn("mosquitto", ["-c", file("mosquitto.conf", `${lines.join("\n")}\n`)], {
      stdio: "ignore",
      env: { ...process.env, PATH },
    });
    this.#child = child;
    if (!(await becomes(listens, 10_000))) throw new Error("mosquitto does not listen");
  }

  /** Takes connections, and never says a word. */
  async startMute(): Promise<void> {
    this.#mute = createServer((socket) => {
      this.#held.add(socket);
      socket.on("error", () => undefined);
    });
    this.#mute.listen(PORT, NEAR);
    await once(this.#mute, "listening");
  }

  async stop(): Promise<void> {
    for (const socket of this.#held) socket.destroy();
    this.#held.clear();
    this.#mute?.close();
    this.#mute = undefined;
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    await gone;
  }
}

function spans(now: number): Readonly<Record<ServerCertificate, readonly [number, number]>> {
  const usual = [now - DAY_MS, now + 300 * DAY_MS] as const;
  return {
    ...{ good: usual, "other CA": usual, "other name": usual },
    expired: [now - 40 * DAY_MS, now - DAY_MS],
    // What is issued is valid from a day before.
    "not yet valid": [now + 3 * DAY_MS, now + 300 * DAY_MS],
    "ends soon": [now - 40 * DAY_MS, now + 10 * DAY_MS],
  };
}

function listens(): boolean {
  const wanted = `:${PORT.toString(16).toUpperCase()} 00000000:0000 0A`;
  return readFileSync("/proc/net/tcp", "latin1").includes(wanted);
}
