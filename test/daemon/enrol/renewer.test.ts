import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { IdentityFiles } from "../../../daemon/enrol/identity-files.ts";
import { Renewer, renewalDue, renewalDueMs } from "../../../daemon/enrol/renewer.ts";
import { fleetKeys } from "../../../sync/fleet-keys.ts";
import type { Outgoing } from "../../../sync/send-queue.ts";
import { gatewayTopics } from "../../../sync/topics.ts";
import { EnrolSite } from "../../support/enrol-site.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** A gateway that has joined, with a link that is set by hand. */
class Site {
  readonly link = { state: "connected", attempts: 1 };
  readonly sent: Outgoing[] = [];
  readonly told: string[] = [];
  nowMs = Date.now();
  readonly fleet: EnrolSite;
  readonly files: IdentityFiles;
  readonly renewer: Renewer;

  constructor(fleet: EnrolSite, files: IdentityFiles) {
    this.fleet = fleet;
    this.files = files;
    this.renewer = this.another();
  }

  /** As after a restart of the daemon. */
  another(): Renewer {
    const note = (_fields: unknown, message: string) => void this.told.push(message);
    const publish = async (message: Outgoing) => {
      this.sent.push(message);
      return 0;
    };
    return new Renewer(
      {
        link: { publish, state: () => this.link },
        ...{ files: this.files, nowMs: () => this.nowMs, log: { info: note, warn: note } },
      },
      { fleet: "north", gateway: "plant-7", keys: fleetKeys([this.fleet.key.publicText]) },
    );
  }

  async looks(renewer = this.renewer): Promise<void> {
    renewer.look();
    await renewer.settled();
  }

  /** What the fleet answers to the last request reaches the gateway. */
  async answered(change = (text: string) => text): Promise<void> {
    const last = this.sent.at(-1);
    const reply = await this.fleet.responder.handle(last?.topic ?? "", Buffer.from(last?.payload ?? ""));
    expect(reply?.topic).toBe(gatewayTopics("north", "plant-7").certificate);
    this.renewer.heard(Buffer.from(change(reply?.payload ?? "")));
    await this.renewer.settled();
  }

  connection(state: "connected" | "waiting" | "connecting", attempts = 1): void {
    this.link.attempts += attempts;
    this.link.state = state;
  }
}

let site: Site;
let first: string | undefined;
beforeEach(async () => {
  const fleet = await EnrolSite.made();
  site = new Site(fleet, await fleet.joined());
  first = site.files.current()?.certificate;
});
afterEach(() => site.fleet.remove());

const current = () => site.files.current()?.certificate;

describe("a certificate", () => {
  test("is renewed from two thirds of its life on, each of a fleet at a time of its own", () => {
    const facts = { commonName: "x", serial: "1", isForClients: true, isSignedBy: () => true };
    const at = (keyHash: string) => renewalDueMs({ ...facts, notBeforeMs: 0, notAfterMs: 1200, keyHash });
    expect(at("00000000")).toBe(800);
    expect(at("80000000")).toBe(850);
    expect(at("ffffffff")).toBeCloseTo(900, 3);
    const one = { ...facts, notBeforeMs: 0, notAfterMs: 1200, keyHash: "80000000" };
    expect([renewalDue(one, 849), renewalDue(one, 850), renewalDue(one, 5000)]).toEqual([false, true, true]);
  });
});

describe("the renewer", () => {
  test("asks for nothing before it is time, nor without a link", async () => {
    await site.looks();
    expect(site.sent).toEqual([]);
    site.nowMs += 80 * DAY_MS;
    site.connection("waiting");
    await site.looks();
    expect(site.sent).toEqual([]);
    site.connection("connected");
    await site.looks();
    expect(site.sent.map(({ topic }) => topic)).toEqual([gatewayTopics("north", "plant-7").report("csr")]);
  });

  test("asks again for the same key until there is an answer, but not at once", async () => {
    site.nowMs += 80 * DAY_MS;
    await site.looks();
    await site.looks();
    expect(site.sent).toHaveLength(1);
    site.nowMs += 11 * MINUTE_MS;
    await site.looks(site.another());
    expect(site.sent).toHaveLength(2);
    await site.answered();
    expect(current()).not.toBe(first);
    expect(site.fleet.ledger.issued("plant-7").filter(({ commonName }) => commonName === "plant-7")).toHaveLength(2);
  });

  test("keeps both pairs until a connection was made with the new one", async () => {
    site.nowMs += 80 * DAY_MS;
    await site.looks();
    await site.answered();
    const second = current();
    await site.looks();
    expect([site.files.hasOther(), current() === second]).toEqual([true, true]);
    site.connection("connected");
    await site.looks();
    expect([site.files.hasOther(), current() === second, current() === first]).toEqual([false, true, false]);
    expect(site.told.at(-1)).toBe("the new certificate works");
  });

  test("goes back to the pair before where no connection comes to be with the new one", async () => {
    site.nowMs += 80 * DAY_MS;
    await site.looks();
    await site.answered();
    const second = current();
    for (let attempt = 0; attempt < 2; attempt++) {
      site.connection("waiting");
      await site.looks();
    }
    expect(current()).toBe(second);
    // Under way: it has read the pair that it uses.
    site.connection("connecting");
    await site.looks();
    expect(current()).toBe(second);
    site.connection("waiting", 0);
    await site.looks();
    expect(current()).toBe(first);
    site.connection("waiting", 3);
    await site.looks();
    expect(current()).toBe(second);
    site.connection("waiting", 3);
    await site.looks();
    site.connection("connected");
    await site.looks();
    expect([current() === first, site.files.hasOther()]).toEqual([true, false]);
    expect(site.told.at(-1)).toBe("the new certificate did not work: the one before is used again");
    await site.looks();
    expect(site.sent).toHaveLength(1);
    site.nowMs += DAY_MS + 1;
    await site.looks();
    expect(site.sent).toHaveLength(2);
  });

  test("believes nobody but its fleet, and no answer to another request", async () => {
    site.nowMs += 80 * DAY_MS;
    await site.looks();
    const next = site.files.nextKey();
    await site.answered((text) => text.replace(/"certificate":"/, '"certificate":"x'));
    await site.answered((text) => text.slice(0, -4));
    site.renewer.heard(Buffer.from("{}"));
    await site.renewer.settled();
    expect(current()).toBe(first);
    site.files.dropNext();
    site.files.nextKey();
    await site.answered();
    expect(site.told.at(-1)).toBe("the certificate was not renewed");
    expect(current()).toBe(first);
    expect(next.equals(site.files.nextKey())).toBe(false);
  });

  test("that is refused leaves it for hours and keeps what it has", async () => {
    await site.fleet.revoke("plant-7");
    site.nowMs += 80 * DAY_MS;
    await site.looks();
    await site.answered();
    expect(current()).toBe(first);
    site.nowMs += 60 * MINUTE_MS;
    await site.looks();
    expect(site.sent).toHaveLength(1);
    site.nowMs += 6 * 60 * MINUTE_MS;
    await site.looks();
    expect(site.sent).toHaveLength(2);
  });

  test("takes a pair that a person put there for one that has yet to show that it works", async () => {
    await site.looks();
    await site.fleet.joined();
    const second = current();
    expect(second).not.toBe(first);
    await site.looks();
    expect(site.files.hasOther()).toBe(true);
    site.connection("connected");
    await site.looks();
    expect([site.files.hasOther(), current() === second]).toEqual([false, true]);
  });
});
