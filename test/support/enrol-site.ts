import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IdentityFiles } from "../../daemon/enrol/identity-files.ts";
import { firstRequest, joined } from "../../daemon/enrol/joining.ts";
import { type Authority, readAuthority } from "../../fleet/enrol/authority.ts";
import { enrol, type Terms } from "../../fleet/enrol/desk.ts";
import { BROKER_FOLDER, CA_FOLDER, initFleet, writeRevocations } from "../../fleet/enrol/init-fleet.ts";
import { Ledger } from "../../fleet/enrol/ledger.ts";
import { EnrolResponder } from "../../fleet/enrol/responder.ts";
import { type CollectorKey, collectorKey } from "../../fleet/key.ts";
import { type Enrolment, readEnrolment } from "../../sync/enrolment.ts";
import { gatewayTopics, newcomerName } from "../../sync/topics.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** A fleet that was made in a folder of its own, with a clock that is set by hand. */
export class EnrolSite {
  readonly folder: string;
  readonly authority: Authority;
  readonly ledger: Ledger;
  readonly key: CollectorKey;
  readonly responder: EnrolResponder;
  nowMs = Date.now();

  private constructor(folder: string, authority: Authority) {
    this.folder = folder;
    this.authority = authority;
    this.ledger = new Ledger(authority.folder);
    this.key = collectorKey(join(folder, ".holdfast-fleet", "collector.key"));
    const log = { info: () => undefined, warn: () => undefined };
    const { ledger, key } = this;
    this.responder = new EnrolResponder(
      { authority, ledger, signer: key.signer, log, nowMs: () => this.nowMs },
      "north",
    );
  }

  static async made(port = 8883): Promise<EnrolSite> {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-enrol-"));
    await initFleet({ fleet: "north", hosts: ["localhost", "127.0.0.1"], port, directory, nowMs: Date.now() });
    return new EnrolSite(directory, readAuthority(join(directory, CA_FOLDER)));
  }

  get deps() {
    return { authority: this.authority, ledger: this.ledger, nowMs: () => this.nowMs };
  }

  async enrolment(gateway = "plant-7", over: Partial<Terms> = {}): Promise<Enrolment> {
    const terms = { fleet: "north", gateway, brokers: ["mqtts://localhost:8883"], keys: [this.key.publicText] };
    const times = { validMs: HOUR_MS, certificateMs: 90 * DAY_MS };
    return readEnrolment(await enrol(this.deps, { ...terms, ...times, ...over }, this.key.signer));
  }

  /** An empty data directory of a gateway. */
  dataOf(name: string): IdentityFiles {
    return new IdentityFiles(join(this.folder, `data-${name}`));
  }

  /** What is asked with a bootstrap certificate, and the answer's text. */
  async ask(gateway: string, request: string): Promise<string> {
    const topic = gatewayTopics("north", newcomerName(gateway)).report("csr");
    return (await this.responder.handle(topic, Buffer.from(request)))?.payload ?? "";
  }

  async joined(gateway = "plant-7", over: Partial<Terms> = {}): Promise<IdentityFiles> {
    const files = this.dataOf(gateway);
    const enrolment = await this.enrolment(gateway, over);
    joined(files, enrolment, Buffer.from(await this.ask(gateway, await firstRequest(files, enrolment))));
    return files;
  }

  async revoke(gateway: string): Promise<void> {
    for (const { serial } of this.ledger.issued(gateway)) this.ledger.revoke(serial, gateway, this.nowMs);
    await writeRevocations(this.authority, this.ledger, join(this.folder, BROKER_FOLDER, "crl.pem"), this.nowMs);
  }

  read(...path: readonly string[]): string {
    return readFileSync(join(this.folder, ...path), "utf8");
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
