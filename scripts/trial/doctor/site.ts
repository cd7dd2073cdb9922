import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Finding } from "../../../daemon/doctor/finding.ts";
import { type Cable, NEAR } from "../cable/network.ts";
import { becomes } from "../claims.ts";
import type { Machine } from "../service/machine.ts";
import { isActive, UNIT } from "../service/steps.ts";
import { type Broker, type ClientCertificate, HOST, PASSWORD, PORT, USER } from "./broker.ts";
import type { NameServer } from "./name-server.ts";

export const FILE = "/etc/holdfast/holdfast.yaml";
export const DATA = "/var/lib/holdfast";
export const CREDENTIALS = "/etc/holdfast/credentials";
export const TOOLS = "/usr/share/holdfast-trial";
const ASIDE = "/var/lib/holdfast-aside";
const DROP_INS = `/etc/systemd/system/${UNIT}.d`;
const SILENT = "198.51.100.1";
const READY_MS = 60_000;

export interface Report {
  readonly code: number;
  readonly tookMs: number;
  readonly findings: readonly Finding[];
}

/** The machine that is broken and mended, and what lies around it. */
export class Site {
  readonly machine: Machine;
  readonly broker: Broker;
  readonly names: NameServer;
  readonly #cable: Cable;

  constructor(machine: Machine, broker: Broker, names: NameServer, cable: Cable) {
    this.machine = machine;
    this.broker = broker;
    this.names = names;
    this.#cable = cable;
  }

  sh(script: string): string {
    return this.machine.run("sh", "-c", script);
  }

  write(path: string, text: string): void {
    this.machine.run("sh", "-c", `mkdir -p "$(dirname ${path})" && printf '%s' "$1" > ${path}`, "sh", text);
  }

  /** What doctor says, with variables in its environment. */
  doctor(variables: readonly string[] = [], by: readonly string[] = []): Report {
    const began = performance.now();
    const { code, out, text } = this.machine.try(
      ...by,
      "env",
      ...variables,
      "holdfast",
      "doctor",
      "--config",
      FILE,
      "--json",
    );
    const tookMs = performance.now() - began;
    if (!out.startsWith("{")) throw new Error(`doctor ended with ${code}: ${text.slice(0, 2000)}`);
    return { code, tookMs, findings: (JSON.parse(out) as { findings: Finding[] }).findings };
  }

  /** The configuration as it should be: a broker outside, by name, with TLS, a password and a certificate. */
  async setUp(): Promise<void> {
    const { machine } = this;
    this.write("/etc/resolv.conf.trial", `nameserver ${NEAR}\noptions timeout:1 attempts:1\n`);
    this.sh("umount /etc/resolv.conf 2>/dev/null; rm -f /etc/resolv.conf; mv /etc/resolv.conf.trial /etc/resolv.conf");
    this.hosts(NEAR);
    this.sh("mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized");
    this.write("/etc/holdfast/ca.pem", await this.broker.authority());
    await this.certify("good");
    this.sh(`install -d -m 0700 ${CREDENTIALS}`);
    this.password(PASSWORD);
    this.dropIn(
      "credentials",
      `[Service]\nLoadCredential=bus.password:${CREDENTIALS}/bus.password\nLoadCredential=gateway.key:${CREDENTIALS}/gateway.key\n`,
    );
    const text = machine.run("cat", FILE);
    const bus = `bus: { kind: external, url: "mqtts://${HOST}:${PORT}", username: ${USER}, passwordFile: bus.password, tls: { caFile: ca.pem, certificateFile: gateway.pem, keyFile: gateway.key } }`;
    this.write(FILE, text.replace(/^bus: .*$/m, bus));
    machine.run("systemctl", "restart", UNIT);
    await this.connected();
  }

  password(text: string): void {
    this.write(`${CREDENTIALS}/bus.password`, text);
    this.sh(`chmod 0600 ${CREDENTIALS}/bus.password`);
  }

  async certify(kind: ClientCertificate): Promise<void> {
    const { key, pem } = await this.broker.client(kind);
    this.sh(`install -d -m 0700 ${CREDENTIALS}`);
    this.write("/etc/holdfast/gateway.pem", pem);
    this.write(`${CREDENTIALS}/gateway.key`, key);
    this.sh(`chmod 0600 ${CREDENTIALS}/gateway.key`);
  }

  /** Where the broker's name leads; undefined: nowhere that the machine itself knows. */
  hosts(address: string | undefined): void {
    const line = address === undefined ? "" : `${address} ${HOST}\n`;
    this.write("/etc/hosts", `127.0.0.1 localhost\n${line}`);
  }

  /** An address from which nothing ever comes back: there is a way to it, and nobody who forwards. */
  blackHole(): void {
    const [command = "", ...args] = [...this.#cable.farSide, "ip", "route", "replace", SILENT, "via", NEAR];
    spawnSync(command, args);
    this.hosts(SILENT);
  }

  dropIn(name: string, text: string, reload = true): void {
    this.write(`${DROP_INS}/${name}.conf`, text);
    if (reload) this.machine.run("systemctl", "daemon-reload");
  }

  removeDropIn(name: string): void {
    this.sh(`rm -f ${DROP_INS}/${name}.conf && systemctl daemon-reload`);
  }

  stop(): void {
    this.machine.run("systemctl", "stop", UNIT);
  }

  async start(): Promise<void> {
    this.machine.try("systemctl", "reset-failed", UNIT);
    const { code } = this.machine.try("systemctl", "start", UNIT);
    if (code !== 0)
      throw new Error(`it does not start: ${this.machine.try("journalctl", "-u", UNIT, "-n", "20", "-o", "cat").text}`);
    await this.connected();
  }

  async restart(): Promise<void> {
    this.machine.run("systemctl", "restart", UNIT);
    await this.connected();
  }

  /** The service runs, and its bus is up again. */
  async connected(): Promise<void> {
    const isSo = await becomes(() => {
      if (!isActive(this.machine)) return false;
      const { code, out } = this.machine.try("holdfast", "status", "--json", "--config", FILE);
      return code === 0 && (JSON.parse(out) as { bus: { connected: boolean } }).bus.connected;
    }, READY_MS);
    if (!isSo)
      throw new Error(
        `the service is not connected: ${this.machine.try("journalctl", "-u", UNIT, "-n", "8", "-o", "cat").text}`,
      );
  }

  /** A copy of something, put back by `restore`. */
  save(path: string): void {
    this.sh(`rm -rf ${path}.trial-saved; cp -a ${path} ${path}.trial-saved`);
  }

  restore(path: string): void {
    this.sh(`rm -rf ${path}; mv ${path}.trial-saved ${path}`);
  }

  /** Stops the service and puts its data on a small disk. */
  smallDisk(options: string): void {
    this.stop();
    this.sh(
      `set -e; cp -a ${DATA} ${ASIDE}; mount -t tmpfs -o mode=0750,${options} small ${DATA}; chown holdfast: ${DATA}; cp -a ${ASIDE}/. ${DATA}; rm -r ${ASIDE}`,
    );
  }

  async ownDisk(): Promise<void> {
    this.machine.run("umount", DATA);
    await this.start();
  }

  /** A library that is loaded before others, made of a few lines of C; undefined where there is no compiler. */
  preload(name: string, source: string): string | undefined {
    const path = `${TOOLS}/${name}.so`;
    this.sh(`mkdir -p ${TOOLS}`);
    const file = this.machine.path(`${TOOLS}/${name}.c`);
    writeFileSync(file, source);
    const { status } = spawnSync("gcc", ["-shared", "-fPIC", "-O1", "-o", this.machine.path(path), file]);
    return status === 0 ? path : undefined;
  }
}
