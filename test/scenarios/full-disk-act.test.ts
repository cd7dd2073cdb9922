import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { becomes } from "../../scripts/trial/claims.ts";
import { holdfast } from "../../scripts/trial/daemon.ts";
import { SmallDisk } from "../../scripts/trial/small-disk.ts";
import type { Outcome } from "../../sync/records.ts";
import { ActSite } from "../support/act-site.ts";
import { until } from "../support/bus.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const DISK_MB = 24;
const RESERVED = 16;
/** So often in a row the log has no room: then that is for good. */
const STUCK_LOOKS = 40;
const isRoot = process.getuid?.() === 0;

/** A gateway whose data lies on a small disk. */
class FullSite {
  readonly site: ActSite;
  readonly #disk: SmallDisk;
  #readings = 0;

  private constructor(site: ActSite, disk: SmallDisk) {
    this.site = site;
    this.#disk = disk;
  }

  static async open(qos: 0 | 1): Promise<FullSite> {
    let disk: SmallDisk | undefined;
    const site = new ActSite((folder) => {
      disk = new SmallDisk(folder, DISK_MB);
      return join(disk.folder, "data");
    });
    await site.open(configOf(qos));
    await site.ask("mode", { scope: "gateway", mode: "auto" });
    return new FullSite(site, disk as SmallDisk);
  }

  /** A tank's level, at QoS 1 so that the broker has it. */
  async level(tank: string, level: number): Promise<void> {
    this.#readings += 1;
    await this.site.publish(`tank/${tank}/level`, { id: `r${this.#readings}`, level });
  }

  /** Fills the disk to its last byte, and waits until the log finds for good that it has no room. */
  async fill(): Promise<void> {
    const isStuck = async (): Promise<boolean> => {
      // The last bytes come in blocks smaller than the balloon's; ballast and write-ahead log give room for a while.
      spawnSync("sh", ["-c", 'while printf %04096d 0 >> "$0"; do :; done', join(this.#disk.folder, "rest")]);
      await this.level("quiet", 1);
      return (await this.state()) === "full";
    };
    this.#disk.fillTo(0);
    for (let inARow = 0; inARow < STUCK_LOOKS; ) inARow = (await isStuck()) ? inARow + 1 : 0;
  }

  free(): void {
    rmSync(join(this.#disk.folder, "rest"), { force: true });
    this.#disk.free();
  }

  async state(): Promise<string> {
    return (await this.site.daemon.status()).store.state;
  }

  told(cmd: string): string[] {
    return this.site.commands.filter((one) => one.cmd === cmd).map(({ about }) => about);
  }

  /** Waits until so many actions of a tool have ended, each in this state; of one thing the last one counts. */
  async ended(tool: string, count: number, state: string): Promise<void> {
    const ends = (): (string | undefined)[] => {
      const outcomes = this.site.records("outcome").map((body) => body as Outcome);
      const last = new Map(outcomes.filter(({ final }) => final === true).map((one) => [one.intent, one.state]));
      return [...new Map(this.site.intents(tool).map(({ id, key }) => [key, last.get(id)])).values()];
    };
    await until(`${tool} to end`, () => ends().length >= count && !ends().includes(undefined));
    expect(ends()).toEqual(Array(count).fill(state));
  }

  async close(): Promise<void> {
    if (this.site.daemon.child.exitCode === null) await this.site.daemon.kill();
    this.#disk.remove();
    await this.site.close();
  }
}

function configOf(qos: 0 | 1): object {
  const command = (cmd: string, more: object): object => ({
    kind: "mqtt",
    topic: "plant/{tank}/command",
    payload: { cmd },
    class: "reversible",
    executeWithinSeconds: 600,
    ...more,
  });
  const rule = (id: string, when: string): object => ({
    id,
    when,
    do: [{ tool: id, arguments: { tank: "event.key" } }],
  });
  return {
    store: { ballastBytes: 65_536 },
    limits: { effectsPerMinute: 1000 },
    agents: {
      guard: {
        priority: "safety",
        sources: [
          { kind: "mqtt", topic: "tank/{tank}/level", key: "tank", qos, fields: { level: { min: 0, max: 100 } } },
        ],
        event: { id: { path: "id" } },
        rules: [
          rule("vent", "event.fields.level > 90.0"),
          rule("drain", "event.fields.level > 80.0 && event.fields.level <= 90.0"),
          rule("fill", "event.fields.level < 1.0"),
        ],
        record: { quiet: "all" },
      },
    },
    tools: {
      vent: command("vent", { safeDirection: true }),
      drain: command("drain", { safeDirection: true, idempotent: true }),
      fill: command("fill", {}),
    },
    policy: [{ id: "all", effect: "permit" }],
  };
}

let open: FullSite | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

const many = (count: number, name: string): string[] => Array.from({ length: count }, (_, index) => `${name}${index}`);

const describeAsRoot = isRoot ? describeWithMosquitto : describeWithMosquitto.skip;
describeAsRoot("a gateway whose disk is full", () => {
  test("still does what leads to the safe state, so far as room is held for it, and nothing else", async () => {
    const here = await FullSite.open(1);
    open = here;
    await here.fill();
    for (const tank of many(3, "f")) await here.level(tank, 0);
    for (const tank of many(RESERVED + 4, "t")) await here.level(tank, 95);
    await until("all that there is room for", () => here.told("vent").length >= RESERVED);
    await here.level("late", 95);
    await becomes(() => here.told("vent").length > RESERVED, 1000);
    expect(here.told("vent").sort()).toEqual(many(RESERVED, "t").sort());
    expect(here.told("fill")).toEqual([]);
    // Each had its intent on the disk before it left, and the log has none of them.
    const reserve = readFileSync(join(here.site.data, "reserve"), "latin1");
    for (const { key } of here.site.commands) expect(reserve).toContain(`"idempotencyKey":"${key}"`);
    expect(here.site.intents("vent")).toEqual([]);
    expect(await here.state()).toBe("full");
    here.free();
    // What came before all room was taken has waited for the log; what came after that is refused.
    const refused = () => here.site.records("proposal").filter(({ tool }) => tool === "vent");
    const all = RESERVED + 5;
    await until("all that came", () => here.site.intents("vent").length + refused().length >= all);
    expect(refused().map(({ key }) => key)).toContain("late");
    expect(new Set(here.site.refused("vent"))).toEqual(new Set(["limited: storeFull"]));
    await here.ended("vent", all - refused().length, "acknowledged");
    await here.site.told();
    const both = [...here.told("vent"), ...refused().map(({ key }) => String(key))];
    expect(both.sort()).toEqual(["late", ...many(RESERVED + 4, "t")].sort());
    expect(here.site.refused("fill")).toEqual(Array(3).fill("limited: storeFull"));
    expect(await here.site.daemon.stop()).toBe(0);
    expect(JSON.parse(holdfast(["audit", "verify", "--data", here.site.data, "--json"]))).toMatchObject({ ok: true });
  });

  test.each([0, 1] as const)("knows after a crash what it did, with readings at QoS %i", async (qos) => {
    const here = await FullSite.open(qos);
    open = here;
    await here.fill();
    for (const tank of many(3, "v")) await here.level(tank, 95);
    for (const tank of many(3, "d")) await here.level(tank, 85);
    await until("what is safe", () => here.site.commands.length >= 6);
    const before = here.site.commands.map(({ key }) => key);
    await here.site.daemon.kill();
    here.free();
    await here.site.start();
    // Nobody knows whether it was done, and doing it twice would be something else: a person has to look.
    await here.ended("vent", 3, "unknown");
    await here.ended("drain", 3, "acknowledged");
    // The broker gives what was not acknowledged once more: it is decided again, and does not leave again.
    const again = qos === 1 ? 3 : 0;
    await until("the readings that come again", () => here.site.refused("vent").length >= again);
    expect(here.site.refused("vent")).toEqual(Array(again).fill(expect.stringMatching(/^limited: mayHaveLeft: as /)));
    const keys = [...here.site.intents("vent"), ...here.site.intents("drain")].map(
      ({ idempotencyKey }) => idempotencyKey,
    );
    for (const key of before) expect(keys).toContain(key);
    await here.site.told();
    expect(here.told("vent").sort()).toEqual(many(3, "v"));
    expect(await here.site.daemon.stop()).toBe(0);
    expect(JSON.parse(holdfast(["audit", "verify", "--data", here.site.data, "--json"]))).toMatchObject({ ok: true });
  });
});
