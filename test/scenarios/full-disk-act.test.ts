import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MqttClient } from "mqtt";
import { afterEach, expect, test } from "vitest";
import { callAsPerson } from "../../daemon/api/control-client.ts";
import { eachRecord } from "../../scripts/trial/acted.ts";
import { becomes } from "../../scripts/trial/claims.ts";
import { holdfast, type RunningDaemon, startDaemon } from "../../scripts/trial/daemon.ts";
import { busOf } from "../../scripts/trial/fixtures.ts";
import { SmallDisk } from "../../scripts/trial/small-disk.ts";
import type { Intent, Outcome } from "../../sync/records.ts";
import { sensor, until } from "../support/bus.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../support/mosquitto.ts";

const DISK_MB = 24;
const RESERVED = 16;
/** So often in a row the log has no room: then that is for good. */
const STUCK_LOOKS = 40;
const isRoot = process.getuid?.() === 0;

interface Command {
  readonly tank: string;
  readonly cmd: string;
  readonly key: string;
}

/** A gateway whose data lies on a small disk, and a plant that remembers what it was told. */
class Site {
  readonly folder = mkdtempSync(join(tmpdir(), "holdfast-full-"));
  readonly disk = new SmallDisk(this.folder, DISK_MB);
  readonly data = join(this.disk.folder, "data");
  readonly commands: Command[] = [];
  #broker: Mosquitto | undefined;
  #plant: MqttClient | undefined;
  #daemon: RunningDaemon | undefined;
  #readings = 0;

  static async open(qos: 0 | 1): Promise<Site> {
    const site = new Site();
    site.#broker = await startMosquitto();
    site.#plant = await sensor(site.#broker.url);
    site.#plant.on("message", (topic, payload) => {
      const { cmd, _id: key } = JSON.parse(payload.toString()) as { cmd: string; _id: string };
      site.commands.push({ tank: topic.split("/")[1] ?? "", cmd, key });
    });
    await site.#plant.subscribeAsync("tank/+/command", { qos: 1 });
    writeFileSync(join(site.folder, "holdfast.yaml"), JSON.stringify(configOf(site.#broker.port, qos)));
    await site.start();
    await site.ask("mode", { scope: "gateway", mode: "auto" });
    return site;
  }

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error("no daemon runs");
    return this.#daemon;
  }

  async start(): Promise<void> {
    this.#daemon = await startDaemon(join(this.folder, "holdfast.yaml"), this.data);
    await until("the bus", () => this.daemon.lines.some(({ msg }) => msg === "commands are connected"));
  }

  async ask(verb: string, parameters: Readonly<Record<string, unknown>>): Promise<unknown> {
    return await callAsPerson({ dataDirectory: this.data, verb, parameters });
  }

  /** A tank's level, at QoS 1 so that the broker has it. */
  async level(tank: string, level: number): Promise<void> {
    this.#readings += 1;
    await this.#plant?.publishAsync(`tank/${tank}/level`, `{"id":"r${this.#readings}","level":${level}}`, { qos: 1 });
  }

  /** Fills the disk to its last byte, and waits until the log finds for good that it has no room. */
  async fill(): Promise<void> {
    const isStuck = async (): Promise<boolean> => {
      // The last bytes come in blocks smaller than the balloon's; ballast and write-ahead log give room for a while.
      spawnSync("sh", ["-c", 'while printf %04096d 0 >> "$0"; do :; done', join(this.disk.folder, "rest")]);
      await this.level("quiet", 1);
      return (await this.state()) === "full";
    };
    this.disk.fillTo(0);
    for (let inARow = 0; inARow < STUCK_LOOKS; ) inARow = (await isStuck()) ? inARow + 1 : 0;
  }

  free(): void {
    rmSync(join(this.disk.folder, "rest"), { force: true });
    this.disk.free();
  }

  async state(): Promise<string> {
    return (await this.daemon.status()).store.state;
  }

  told(cmd: string): string[] {
    return this.commands.filter((one) => one.cmd === cmd).map(({ tank }) => tank);
  }

  intents(tool: string): Intent[] {
    return [...eachRecord(this.data, ["intent"])].map((body) => body as Intent).filter((one) => one.tool === tool);
  }

  /** How a tool's actions ended, by what they were about; undefined where they have not. */
  ends(tool: string): Record<string, string | undefined> {
    const outcomes = [...eachRecord(this.data, ["outcome"])].map((body) => body as Outcome);
    const last = new Map(outcomes.filter(({ final }) => final === true).map((one) => [one.intent, one.state]));
    return Object.fromEntries(this.intents(tool).map(({ id, key }) => [key, last.get(id)]));
  }

  /** Waits until so many actions of a tool have ended, each in this state. */
  async ended(tool: string, count: number, state: string): Promise<void> {
    const all = (): (string | undefined)[] => Object.values(this.ends(tool));
    await until(`${tool} to end`, () => all().length >= count && !all().includes(undefined), 20_000);
    expect(all()).toEqual(Array(count).fill(state));
  }

  refused(tool: string): string[] {
    const all = [...eachRecord(this.data, ["proposal"])].filter((body) => body["tool"] === tool);
    return all.map(({ state, reason }) => `${state}: ${reason}`);
  }

  async close(): Promise<void> {
    if (this.#daemon?.child.exitCode === null) await this.#daemon.kill();
    await this.#plant?.endAsync(true);
    await this.#broker?.remove();
    this.disk.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function configOf(port: number, qos: 0 | 1): object {
  const command = (cmd: string, more: object): object => ({
    kind: "mqtt",
    topic: "tank/{tank}/command",
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
    schemaVersion: 1,
    bus: busOf("external", port),
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

let open: Site | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

const many = (count: number, name: string): string[] => Array.from({ length: count }, (_, index) => `${name}${index}`);

describeWithMosquitto.skipIf(!isRoot)("a gateway whose disk is full", () => {
  test("still does what leads to the safe state, so far as room is held for it, and nothing else", async () => {
    const site = await Site.open(1);
    open = site;
    await site.fill();
    for (const tank of many(3, "f")) await site.level(tank, 0);
    for (const tank of many(RESERVED + 4, "t")) await site.level(tank, 95);
    await until("all that there is room for", () => site.told("vent").length >= RESERVED);
    await becomes(() => site.told("vent").length > RESERVED, 1000);
    expect(site.told("vent").sort()).toEqual(many(RESERVED, "t").sort());
    expect(site.told("fill")).toEqual([]);
    // Each had its intent on the disk before it left, and the log has none of them.
    const reserve = readFileSync(join(site.data, "reserve"), "latin1");
    for (const { key } of site.commands) expect(reserve).toContain(`"idempotencyKey":"${key}"`);
    expect(site.intents("vent")).toEqual([]);
    expect(await site.state()).toBe("full");
    site.free();
    await site.ended("vent", RESERVED + 4, "acknowledged");
    expect(new Set(site.told("vent")).size).toBe(RESERVED + 4);
    expect(site.told("vent")).toHaveLength(RESERVED + 4);
    expect(site.refused("fill")).toEqual(Array(3).fill("limited: storeFull"));
    expect(await site.daemon.stop()).toBe(0);
    expect(JSON.parse(holdfast(["audit", "verify", "--data", site.data, "--json"]))).toMatchObject({ ok: true });
  }, 60_000);

  test.each([0, 1] as const)(
    "knows after a crash what it did, with readings at QoS %i",
    async (qos) => {
      const site = await Site.open(qos);
      open = site;
      await site.fill();
      for (const tank of many(3, "v")) await site.level(tank, 95);
      for (const tank of many(3, "d")) await site.level(tank, 85);
      await until("what is safe", () => site.commands.length >= 6);
      const before = site.commands.map(({ key }) => key);
      await site.daemon.kill();
      site.free();
      await site.start();
      // Nobody knows whether it was done, and doing it twice would be something else: a person has to look.
      await site.ended("vent", 3, "unknown");
      await site.ended("drain", 3, "acknowledged");
      // The broker gives what was not acknowledged once more: it is decided again, and does not leave again.
      const again = qos === 1 ? 3 : 0;
      await until("the readings that come again", () => site.refused("vent").length >= again);
      expect(site.refused("vent")).toEqual(Array(again).fill(expect.stringMatching(/^limited: mayHaveLeft: as /)));
      const keys = [...site.intents("vent"), ...site.intents("drain")].map(({ idempotencyKey }) => idempotencyKey);
      for (const key of before) expect(keys).toContain(key);
      expect(site.told("vent").sort()).toEqual(many(3, "v"));
      expect(await site.daemon.stop()).toBe(0);
      expect(JSON.parse(holdfast(["audit", "verify", "--data", site.data, "--json"]))).toMatchObject({ ok: true });
    },
    60_000,
  );
});
