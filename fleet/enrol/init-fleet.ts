import { createPublicKey } from "node:crypto";
import { existsSync } from "node:fs";
import { isIPv6 } from "node:net";
import { join, resolve } from "node:path";
import { keyPem, newKey } from "../../sync/certificate-facts.ts";
import { issuedCertificate, revocationList } from "../../sync/certificates.ts";
import { TOPIC_NAME } from "../../sync/topics.ts";
import { collectorKey } from "../key.ts";
import { type Authority, makeAuthority } from "./authority.ts";
import { mosquittoAcl, mosquittoText } from "./broker-text.ts";
import { EnrolError } from "./errors.ts";
import { makeFolder, writeWhole } from "./kept.ts";
import { Ledger } from "./ledger.ts";

export interface InitOptions {
  readonly fleet: string;
  /** Names and addresses under which gateways and collectors find the broker; the first one is in the fleet's file. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly directory: string;
  readonly nowMs: number;
}

export const CA_FOLDER = "ca";
export const BROKER_FOLDER = "broker";
const MOST_URLS = 8;
const SECRET = 0o600;
const PUBLIC = 0o644;

/** Makes everything that a fleet of one's own needs in one folder: CA, broker, collector. Throws where there is a fleet. */
export async function initFleet(options: InitOptions): Promise<Authority> {
  const { fleet, hosts, port, nowMs } = options;
  const directory = resolve(options.directory);
  if (!TOPIC_NAME.test(fleet)) throw new EnrolError("ENROL_NAME", { fleet }, { hint: "Letters, digits, - and _." });
  const config = join(directory, "holdfast-fleet.yaml");
  if (existsSync(config)) throw new EnrolError("ENROL_EXISTS", { file: config });
  makeFolder(directory, 0o755);
  const authority = await makeAuthority(join(directory, CA_FOLDER), fleet, nowMs);
  new Ledger(authority.folder);
  const broker = join(directory, BROKER_FOLDER);
  for (const path of [broker, join(broker, "state")]) makeFolder(path, 0o755);
  // They live as long as the CA: nobody is there to renew a broker's at night.
  await keyAndCertificate(authority, { folder: broker, name: "broker", hosts, nowMs });
  await keyAndCertificate(authority, { folder: directory, name: "collector", nowMs });
  for (const path of [join(broker, "ca.pem"), join(directory, "fleet-ca.pem")])
    writeWhole(path, authority.certificate, PUBLIC);
  await writeRevocations(authority, new Ledger(authority.folder), join(broker, "crl.pem"), nowMs);
  writeWhole(join(broker, "mosquitto.conf"), mosquittoText({ folder: broker, port }), PUBLIC);
  writeWhole(join(broker, "acl"), mosquittoAcl(fleet), PUBLIC);
  collectorKey(join(directory, ".holdfast-fleet", "collector.key"));
  writeWhole(config, fleetText(fleet, hosts, port), PUBLIC);
  return authority;
}

/** Also where nothing is revoked: a broker that is told of a list wants one. It holds until the CA ends. */
export async function writeRevocations(
  authority: Authority,
  ledger: Ledger,
  path: string,
  nowMs: number,
): Promise<void> {
  writeWhole(path, await revocationList(authority, ledger.revoked(), nowMs, authority.notAfterMs), PUBLIC);
}

interface Party {
  readonly folder: string;
  readonly name: string;
  readonly hosts?: readonly string[];
  readonly nowMs: number;
}

async function keyAndCertificate(authority: Authority, { folder, name, hosts, nowMs }: Party): Promise<void> {
  const key = newKey();
  const certificate = await issuedCertificate(authority, {
    ...{ commonName: name, publicKey: createPublicKey(key), use: hosts === undefined ? "client" : "server" },
    ...{ hosts: hosts ?? [], nowMs, notAfterMs: authority.notAfterMs },
  });
  writeWhole(join(folder, `${name}.key`), keyPem(key), SECRET);
  writeWhole(join(folder, `${name}.pem`), certificate, PUBLIC);
}

function fleetText(fleet: string, hosts: readonly string[], port: number): string {
  const urls = hosts.slice(0, MOST_URLS).map((host) => `mqtts://${isIPv6(host) ? `[${host}]` : host}:${port}`);
  return `# The fleet's end, made by \`holdfast-fleet init\`. Every setting: docs/fleet-configuration.md.
fleet: ${fleet}
# One broker under several names is several entries: the first one that answers is taken.
brokers: ${JSON.stringify(urls)}
tls: { ca: fleet-ca.pem, certificate: collector.pem, key: collector.key }
# database: postgres://collector@db.fleet.example/holdfast
`;
}
