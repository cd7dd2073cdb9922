import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { join } from "node:path";
import { systemClock } from "../../../daemon/clock.ts";
import { recordsSchema } from "../../../daemon/store/schema.ts";
import { openForReading } from "../../../daemon/store/sqlite-reader.ts";
import { actionsOfDecisions } from "../../../daemon/store/tables/action.ts";
import type { FromLedger, LedgerLog, ToLedger } from "./ledger-lines.ts";
import { PlainClient, type Received } from "./plain-client.ts";
import { answerOf, mannerOf, pressureOf } from "./plant.ts";

const CANARY_MS = 25;
const PRESSURE_MS = 300;
const FENCE_AGAIN_MS = 100;
/** Every so many effects are looked up in the daemon's log in the moment in which they come. */
const LOOK_EVERY = 6;
const MOST_MISSING = 20;

/**
 * The world outside of the daemon, in a process of its own: actuators on the broker, a web server, and the list of all
 * that reached them, in the order in which it came.
 */
class Ledger {
  readonly #clock = systemClock();
  readonly #client: PlainClient;
  readonly #data: string;
  readonly #log: LedgerLog = {
    effects: [],
    answers: [],
    pressures: [],
    canaries: [],
    redelivered: 0,
    looked: 0,
    missing: [],
  };
  readonly #keys: readonly string[];
  readonly #lastPackets = new Map<number, string>();
  readonly #fences = new Map<number, { mqtt: boolean; http: boolean; timer: NodeJS.Timeout }>();
  #seq = 0;
  #isSilent = false;
  #mayLook = false;
  #port = 0;

  constructor(brokerPort: number, data: string, keys: readonly string[]) {
    this.#client = new PlainClient(brokerPort, "ledger", ["do/#", "ledger/#"]);
    this.#client.onMessage = (message) => this.#heard(message);
    this.#data = data;
    this.#keys = keys;
  }

  start(): void {
    this.#client.open();
    const server = createServer((asked, answer) => this.#asked(asked, answer));
    server.listen(0, "127.0.0.1", () => {
      this.#port = (server.address() as { port: number }).port;
      tell({ kind: "ready", port: this.#port });
    });
    setInterval(() => this.#client.publish("ledger/canary", String(this.#clock.bootMs())), CANARY_MS);
    setInterval(() => this.#read("fine", 3), PRESSURE_MS);
    setInterval(() => this.#read("high", 9), PRESSURE_MS);
    setInterval(() => this.#read("once", 3), 20 * PRESSURE_MS);
  }

  readonly obey = (asked: ToLedger): void => {
    if (asked.kind === "silence") this.#isSilent = asked.on;
    else if (asked.kind === "look") {
      this.#mayLook = asked.on;
      if (!asked.on) tell({ kind: "still" });
    } else if (asked.kind === "fence") this.#fence(asked.n, asked.isCut);
    else {
      writeFileSync(asked.path, JSON.stringify(this.#log));
      tell({ kind: "saved" });
    }
  };

  /** Lets a mark go the way that effects go, behind all that is on its way already. */
  #fence(n: number, isCut: boolean): void {
    const send = (): void => this.#client.publish("ledger/fence", String(n));
    this.#fences.set(n, { mqtt: isCut, http: false, timer: setInterval(send, FENCE_AGAIN_MS) });
    if (!isCut) send();
    request({ port: this.#port, host: "127.0.0.1", path: `/fence/${n}`, agent: false }, (answer) =>
      answer.resume(),
    ).end();
  }

  #fenced(n: number, via: "mqtt" | "http"): void {
    const fence = this.#fences.get(n);
    if (fence === undefined) return;
    fence[via] = true;
    if (!fence.mqtt || !fence.http) return;
    clearInterval(fence.timer);
    this.#fences.delete(n);
    this.#seq += 1;
    tell({ kind: "fence", n, seq: this.#seq, atMs: this.#clock.bootMs() });
  }

  #heard({ topic, payload, packetId, isAgain }: Received): void {
    const atMs = this.#clock.bootMs();
    const [root, name = "", key = ""] = topic.split("/");
    const text = payload.toString();
    if (root === "ledger") {
      if (name === "canary") this.#log.canaries.push({ sentMs: Number(text), atMs });
      else this.#fenced(Number(text), "mqtt");
      return;
    }
    if (isAgain && this.#lastPackets.get(packetId) === text) {
      this.#log.redelivered += 1;
      return;
    }
    this.#lastPackets.set(packetId, text);
    const { _id, token } = JSON.parse(text) as { _id: string; token: string };
    this.#effect("mqtt", name, key, _id, atMs);
    this.#act(name, key, token);
  }

  #effect(via: "mqtt" | "http", tool: string, key: string, id: string, atMs: number): void {
    this.#seq += 1;
    this.#log.effects.push({ seq: this.#seq, atMs, via, tool, key, id });
    if (this.#mayLook && this.#seq % LOOK_EVERY === 0) this.#look(id, tool, atMs);
  }

  /** Whether what came has its intent on disk by now: it should have had it before it left. */
  #look(id: string, tool: string, atMs: number): void {
    const decision = id.split("/")[0] ?? "";
    let found: boolean;
    try {
      const database = openForReading(join(this.#data, "records.db"), recordsSchema);
      try {
        found = actionsOfDecisions(database, [decision]).some(({ intent }) => intent?.includes(id) === true);
      } finally {
        database.close();
      }
      // What leads to the safe state has its intent in the reserve while the disk is full.
      found ||= readFileSync(join(this.#data, "reserve")).includes(id);
    } catch {
      // The database is being made, or away.
      return;
    }
    this.#log.looked += 1;
    if (!found && this.#log.missing.length < MOST_MISSING) this.#log.missing.push({ id, tool, atMs });
  }

  #act(tool: string, key: string, token: string): void {
    const answer = this.#isSilent ? undefined : answerOf(mannerOf(key));
    if (answer === undefined) return;
    const { says, isDone, afterMs } = answer;
    const say = (): void => {
      this.#log.answers.push({ atMs: this.#clock.bootMs(), tool, key, token, says, isDone });
      this.#client.publish(`is/${tool}/${key}/${token}`, JSON.stringify({ done: says }));
    };
    if (afterMs === 0) say();
    else setTimeout(say, afterMs);
  }

  #read(which: ReturnType<typeof pressureOf>, bar: number): void {
    for (const key of this.#keys) {
      if (pressureOf(key) !== which) continue;
      this.#log.pressures.push({ atMs: this.#clock.bootMs(), key, bar });
      this.#client.publish(`pressure/${key}`, JSON.stringify({ bar }));
    }
  }

  #asked(asked: IncomingMessage, answer: ServerResponse): void {
    const [, name = "", n = ""] = (asked.url ?? "").split("/");
    if (name === "fence") {
      answer.end();
      this.#fenced(Number(n), "http");
      return;
    }
    let text = "";
    asked.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    asked.on("error", () => {});
    asked.on("end", () => {
      const { key = "" } = JSON.parse(text === "" ? "{}" : text) as { key?: string };
      this.#effect("http", name, key, String(asked.headers["idempotency-key"]), this.#clock.bootMs());
      this.#reply(answer);
    });
  }

  /** Mostly at once; sometimes late, never, or that it did not work. */
  #reply(answer: ServerResponse): void {
    const kind = this.#seq % 16;
    if (kind === 3) return;
    const status = kind === 7 ? 503 : kind === 11 ? 400 : 200;
    setTimeout(() => answer.writeHead(status).end(), kind % 4 === 2 ? 300 : 0);
  }
}

function tell(message: FromLedger): void {
  process.send?.(message);
}

const { brokerPort, data, keys } = JSON.parse(readFileSync(process.argv[2] as string, "utf8")) as {
  brokerPort: number;
  data: string;
  keys: string[];
};
const ledger = new Ledger(brokerPort, data, keys);
process.on("message", ledger.obey);
process.on("disconnect", () => process.exit(0));
ledger.start();
