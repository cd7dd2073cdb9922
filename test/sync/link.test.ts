import { afterEach, describe, expect, test } from "vitest";
import { becomes } from "../../scripts/trial/claims.ts";
import type { LinkDeps, LinkOptions } from "../../sync/link-types.ts";
import { CAPPED, noFiles, QUICK, SHORT, topics, type WatchedLink, watchedLink } from "../support/link.ts";
import { published, type Script, type WireBroker, type WireOptions, wireBroker } from "../support/wire-broker.ts";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

async function broker(script: (connection: number) => Script, options: WireOptions = {}): Promise<WireBroker> {
  const made = await wireBroker(script, options);
  open.push(made.close);
  return made;
}

async function started(
  brokers: readonly string[],
  options: Partial<LinkOptions> = {},
  deps: Partial<LinkDeps> = {},
): Promise<WatchedLink> {
  const made = watchedLink(brokers, options, deps);
  open.push(() => made.link.stop());
  await made.link.start();
  return made;
}

const well = (): Script => ({ take: "well" });
const isUp = ({ link }: WatchedLink) => becomes(() => link.state().state === "connected", 60_000);
const states = (server: WireBroker) =>
  published(server.packets).flatMap(({ topic, text }) => (topic === topics.state ? [JSON.parse(text)] : []));
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

describe("the link", () => {
  test("hears its topics, says that it is there, and what the fleet gets when it is lost", async () => {
    const server = await broker(well);
    const made = await started([server.url]);
    expect(await isUp(made)).toBe(true);
    expect(await becomes(() => states(server).length === 1, 60_000)).toBe(true);
    const [connect, subscribe] = server.packets;
    const session = made.sessions[0];
    expect(session).toMatch(/^[0-9a-f]{16}$/);
    expect(connect).toMatchObject({
      ...{ cmd: "connect", protocolVersion: 5, clientId: "plant-7", clean: true, keepalive: 30 },
      properties: { sessionExpiryInterval: 0, receiveMaximum: 20, maximumPacketSize: 262_144 },
      will: { topic: topics.state, qos: 1, retain: true, properties: { willDelayInterval: 60 } },
    });
    const will = (connect as { will?: { payload: Buffer } }).will?.payload.toString() ?? "";
    expect(JSON.parse(will)).toMatchObject({ v: 1, kind: "state", state: "lost", session, software: "0.1.0" });
    expect(subscribe).toMatchObject({ cmd: "subscribe" });
    expect(states(server)).toMatchObject([{ state: "ready", session }]);
  });

  test("says goodbye with a message and a DISCONNECT, so that the last will is not published over it", async () => {
    const server = await broker(well);
    const made = await started([server.url]);
    expect(await isUp(made)).toBe(true);
    await made.link.stop();
    expect(await becomes(() => server.packets.at(-1)?.cmd === "disconnect", 60_000)).toBe(true);
    expect(states(server).at(-1)).toMatchObject({ state: "stopped", session: made.sessions[0] });
    expect([made.link.state().state, made.downs()]).toEqual(["off", 1]);
    expect(await becomes(() => server.open() === 0, 60_000)).toBe(true);
  });

  test("gives others their turn while a flood comes in, and loses none of it", async () => {
    const server = await broker(well);
    const made = watchedLink([server.url]);
    open.push(() => made.link.stop());
    const [turns, heardAt] = [{ count: 0 }, [] as number[]];
    made.link.onMessage = () => void heardAt.push(turns.count);
    await made.link.start();
    expect(await isUp(made)).toBe(true);
    const count = (): void => {
      turns.count += 1;
      if (heardAt.length < 400) setImmediate(count);
    };
    setImmediate(count);
    for (let n = 0; n < 400; n++)
      server.send({ cmd: "publish", topic: topics.acknowledgement, payload: "{}", qos: 0, dup: false, retain: false });
    expect(await becomes(() => heardAt.length === 400, 60_000)).toBe(true);
    const inOneTurn = Math.max(...[...new Set(heardAt)].map((turn) => heardAt.filter((at) => at === turn).length));
    expect(inOneTurn).toBeLessThanOrEqual(60);
    expect(new Set(heardAt).size).toBeGreaterThan(100);
  });

  test("fails what is under way when it stops or goes down, and takes nothing more", async () => {
    const server = await broker((connection) => ({ take: connection === 0 ? "halfDeaf" : "well" }));
    const made = await started([server.url]);
    expect(await isUp(made)).toBe(true);
    const all = Array.from({ length: 30 }, () => made.link.publish({ topic: topics.hello, payload: "{}", qos: 1 }));
    const settled = Promise.allSettled(all);
    await made.link.stop();
    expect((await settled).map((one) => one.status === "rejected" && codeOf(one.reason))).toEqual(
      Array(30).fill("SYNC_LINK_DOWN"),
    );
    await expect(made.link.publish({ topic: "t", payload: "x", qos: 1 })).rejects.toMatchObject({
      code: "SYNC_LINK_DOWN",
    });
    expect(made.downs()).toBe(1);
  });

  test("says with which reason a message was taken: nobody listens, or a refusal that a person should see", async () => {
    const nobody = await broker(well);
    const made = await started([nobody.url]);
    expect(await isUp(made)).toBe(true);
    expect(await made.link.publish({ topic: topics.hello, payload: "{}", qos: 1 })).toBe(0x10);
    expect(made.link.state().reason).toBeUndefined();
    expect(made.link.state().rttMs).toBeGreaterThan(0);
    const refusing = await broker(well, { puback: 0x87 });
    const other = await started([refusing.url]);
    expect(await isUp(other)).toBe(true);
    expect(await other.link.publish({ topic: topics.hello, payload: "{}", qos: 1 })).toBe(0x87);
    expect(other.link.state().reason).toMatchObject({ code: "0x87", words: expect.stringContaining(topics.hello) });
    other.link.proven();
    expect(other.link.state().reason).toBeUndefined();
  });

  test("never has more without an answer than the broker takes, its own words included", async () => {
    const server = await broker(() => ({ take: "strict" }), { properties: { receiveMaximum: 1 } });
    const made = watchedLink([server.url]);
    open.push(() => made.link.stop());
    // As the uplink does: its hello goes out with the link's own document.
    made.link.onUp = () => void made.link.publish({ topic: topics.hello, payload: "{}", qos: 1 }).catch(() => 0);
    await made.link.start();
    expect(await isUp(made)).toBe(true);
    expect(made.link.limits().underWay).toBe(1);
    const all = Array.from({ length: 20 }, (_, at) =>
      made.link.publish({ topic: topics.up("quiet"), payload: `${at}`, qos: 1 }),
    );
    expect(await Promise.all(all)).toEqual(Array(20).fill(0x10));
    expect([server.mostUnderWay(), server.connects()]).toEqual([1, 1]);
    const quiet = published(server.packets).filter(({ topic }) => topic === topics.up("quiet"));
    expect(quiet.map(({ text }) => Number(text))).toEqual(Array.from({ length: 20 }, (_, at) => at));
  });

  test("sends no packet that is larger than the broker says it takes", async () => {
    const server = await broker(() => ({ take: "tooLarge" }), { properties: { maximumPacketSize: 1024 } });
    const made = await started([server.url]);
    expect(await isUp(made)).toBe(true);
    expect(made.link.limits().packetBytes).toBe(1024);
    const tooMuch = made.link.publish({ topic: topics.up("quiet"), payload: new Uint8Array(1024), qos: 1 });
    await expect(tooMuch).rejects.toMatchObject({ code: "SYNC_LINK_TOO_LARGE" });
    expect(await made.link.publish({ topic: topics.up("quiet"), payload: new Uint8Array(900), qos: 1 })).toBe(0x10);
    expect(server.connects()).toBe(1);
  });

  test("finds out what a broker takes that does not say it", async () => {
    const server = await broker(() => ({ take: "tooLarge" }));
    const made = await started([server.url]);
    expect(
      await becomes(async () => {
        if (made.link.state().state !== "connected") return false;
        const { packetBytes } = made.link.limits();
        const payload = new Uint8Array(Math.min(50_000, packetBytes - 200));
        return (await made.link.publish({ topic: topics.up("quiet"), payload, qos: 1 }).catch(() => 0)) === 0x10;
      }, 60_000),
    ).toBe(true);
    // 50,000 bytes, then half and half again.
    expect(server.connects()).toBeLessThanOrEqual(8);
  });

  test("does not collect without end what a broker does not answer", async () => {
    const server = await broker(() => ({ take: "halfDeaf" }));
    const made = await started([server.url]);
    expect(await isUp(made)).toBe(true);
    const all = Array.from({ length: 500 }, () =>
      made.link.publish({ topic: "t", payload: "x", qos: 1 }).catch(codeOf),
    );
    expect(await Promise.race(all.slice(-1))).toBe("SYNC_LINK_FULL");
  });

  test("gives up a broker that answers pings but no message, no subscription, or nothing at all", async () => {
    for (const [take, name, words] of [
      ["halfDeaf", "silence", "answers no message"],
      ["noSuback", "silence", "answers no subscription"],
    ] as const) {
      const server = await broker(() => ({ take }));
      const made = await started([server.url], { patience: SHORT, backoff: CAPPED });
      expect(await becomes(() => made.link.state().reason !== undefined, 60_000)).toBe(true);
      expect(made.link.state().reason).toMatchObject({ name, words: expect.stringContaining(words) });
      expect(await becomes(() => server.open() === 0, 60_000)).toBe(true);
    }
    const mute = await broker(() => ({ raw: [] }));
    const made = await started([mute.url], { patience: SHORT, backoff: CAPPED });
    expect(await becomes(() => made.link.state().reason !== undefined, 60_000)).toBe(true);
    expect(made.link.state().reason?.words).toContain("took the connection and did not answer");
  });

  test("finds a half-open connection by keepalive", async () => {
    const server = await broker((connection) => ({ take: connection === 0 ? "silentAfter" : "well" }));
    const made = await started([server.url], { keepaliveSeconds: 1 });
    expect(await becomes(() => made.downs() === 1, 60_000)).toBe(true);
    expect(await becomes(() => made.sessions.length === 2, 60_000)).toBe(true);
  });

  test("stops at once, whatever it waits for", async () => {
    const silent = await broker(() => ({ take: "silently" }));
    const mute = await broker(() => ({ raw: [] }));
    const all = [
      await started([silent.url]),
      await started([mute.url]),
      // Nobody is there: a network that is for documentation.
      await started(["mqtts://192.0.2.1:8883"]),
      await started(["mqtt://127.0.0.1:1"], { backoff: CAPPED }),
      await started([mute.url], { firstWithinMs: 600_000 }),
    ];
    expect(await becomes(() => silent.connects() === 1 && mute.connects() === 1, 60_000)).toBe(true);
    await Promise.all(all.map(({ link }) => link.stop()));
    expect(all.map(({ link }) => link.state().state)).toEqual(Array(5).fill("off"));
    expect(await becomes(() => silent.open() + mute.open() === 0, 60_000)).toBe(true);
    expect([silent.connects(), mute.connects()]).toEqual([1, 1]);
  });

  test("tries at once when it is told to, and only when it waits", async () => {
    const server = await broker((connection) => (connection === 0 ? { connack: 0x88 } : well()));
    const made = await started([server.url], { backoff: CAPPED });
    expect(
      await becomes(() => made.link.state().nextAttemptAtMs !== undefined && server.connects() === 1, 60_000),
    ).toBe(true);
    made.link.retryNow();
    expect(await isUp(made)).toBe(true);
    made.link.retryNow();
    expect(server.connects()).toBe(2);
  });

  test("tells once of another client with its name, and waits for a minute or more", async () => {
    const server = await broker(() => ({ disconnect: 0x8e }));
    const clock = { wallMs: () => 1_000_000, bootMs: () => 0 };
    const made = await started([server.url], { backoff: { ...QUICK, takenOverMs: 60_000 } }, { clock });
    for (const times of [1, 2, 3]) {
      expect(await becomes(() => made.downs() === times && made.link.state().state === "waiting", 60_000)).toBe(true);
      expect(made.link.state().nextAttemptAtMs).toBeGreaterThanOrEqual(1_060_000);
      expect(made.link.state().identityConflict).toBe(true);
      made.link.retryNow();
    }
    expect(made.conflicts()).toBe(1);
  });

  test("reads its files again for each connection, and says so when it can not", async () => {
    const server = await broker((connection) => (connection === 0 ? { connack: 0x86 } : well()));
    const passwords = ["old", "new"];
    let isThere = false;
    const password = () => {
      if (!isThere) throw new Error("no such file");
      return passwords.shift();
    };
    const made = await started(
      [server.url],
      { username: "plant-7", backoff: CAPPED },
      { files: { ...noFiles, password } },
    );
    expect(await becomes(() => made.link.state().reason !== undefined, 60_000)).toBe(true);
    expect(made.link.state().reason).toMatchObject({ name: "files", words: expect.stringContaining("no such file") });
    expect(server.connects()).toBe(0);
    isThere = true;
    made.link.retryNow();
    expect(await becomes(() => made.link.state().reason?.code === "0x86", 60_000)).toBe(true);
    made.link.retryNow();
    expect(await isUp(made)).toBe(true);
    const said = server.packets.flatMap((packet) => (packet.cmd === "connect" ? [packet.password?.toString()] : []));
    expect(said).toEqual(["old", "new"]);
  });

  test("leaves a flood with who sends it, and takes none of it into its memory", async () => {
    const server = await broker(well);
    const made = await started([server.url]);
    expect(await isUp(made)).toBe(true);
    const packet = {
      cmd: "publish" as const,
      topic: topics.command,
      payload: Buffer.alloc(1000),
      qos: 0 as const,
      dup: false,
      retain: true,
    };
    const sent = 40_000;
    for (let at = 0; at < sent; at += 1) server.send(packet);
    expect(await becomes(() => made.messages.length >= 300, 60_000)).toBe(true);
    // What it does not read stays with who sent it, whatever the kernel holds in between.
    expect(server.unsentBytes()).toBeGreaterThan((sent * 1000) / 2);
    expect(made.messages.every(({ isRetained }) => isRetained)).toBe(true);
  });

  test("ends a connection over which something comes that is larger than it takes", async () => {
    const server = await broker(well);
    const made = await started([server.url], { backoff: CAPPED });
    expect(await isUp(made)).toBe(true);
    server.send({
      cmd: "publish",
      topic: topics.command,
      payload: Buffer.alloc(300_000),
      qos: 0,
      dup: false,
      retain: true,
    });
    expect(await becomes(() => made.link.state().reason !== undefined, 60_000)).toBe(true);
    expect(made.link.state().reason).toMatchObject({ name: "too large" });
    expect(made.messages).toEqual([]);
  });

  test("leaves nothing behind of five hundred connections", async () => {
    const kinds: Script[] = [{ connack: 0x89 }, { hangUp: true }, { disconnect: 0x8b }, { raw: [0xff, 0xff] }];
    const last = 500;
    const server = await broker(
      (connection) => (connection < last ? kinds[connection % kinds.length] : undefined) ?? well(),
    );
    const made = await started([server.url], { backoff: { baseMs: 0, capMs: 0, refusedCapMs: 0, takenOverMs: 0 } });
    const handles = (): number =>
      process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|TLS/.test(name)).length;
    expect(await becomes(() => server.connects() > 20, 60_000)).toBe(true);
    expect(await becomes(() => server.connects() > last && made.link.state().state === "connected", 60_000)).toBe(true);
    // The server, both ends of the one connection, its keepalive and its watch; what this test itself waits for.
    expect(await becomes(() => handles() <= 12, 60_000), `${process.getActiveResourcesInfo()}`).toBe(true);
    expect(made.link.state().attempts).toBe(last + 1);
  });
});
