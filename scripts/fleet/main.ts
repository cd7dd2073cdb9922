// Two gateways and their fleet on this machine: TLS, a broker, a collector. Pulls the plug on one, brings it back, and tells.
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { connectAsync, type MqttClient } from "mqtt";
import { withSection } from "../../config/edit.ts";
import { childPath } from "../../daemon/children.ts";
import { becomes } from "../trial/claims.ts";
import { freePort } from "../trial/daemon.ts";
import { Line } from "../trial/fleet/line.ts";

const SECONDS_WITHOUT = 20;
const READINGS_PER_SECOND = 50;

/** Each run makes a fleet, and a fleet has one folder for ever. */
const folder = unused(resolve(process.argv[2] ?? ".holdfast-fleet-try"));
const children: ChildProcess[] = [];
const began = performance.now();

function unused(base: string): string {
  let run = 1;
  while (existsSync(join(base, String(run)))) run += 1;
  return join(base, String(run));
}

function say(text: string): void {
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${text}`);
}

function started(what: string, command: string, args: readonly string[], cwd: string): ChildProcess {
  const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  child.once("exit", (code) => {
    if (!isOver && code !== 0) say(`${what} ended (${code})`);
  });
  return child;
}

let isOver = false;

function ran(program: string, args: readonly string[], cwd: string): string {
  const done = spawnSync(process.execPath, [childPath(program), ...args], { cwd, encoding: "utf8" });
  return done.stdout === "" ? done.stderr : done.stdout;
}

/** Says a command and shows what it prints. What it says to the broker goes through this process, which must not wait. */
async function shown(program: "holdfast" | "holdfast-fleet", args: readonly string[], cwd: string): Promise<void> {
  say(`$ ${program} ${args.join(" ")}`);
  const path = childPath(program === "holdfast" ? "daemon/main" : "fleet/main");
  const text = await new Promise<string>((resolve) => {
    execFile(process.execPath, [path, ...args], { cwd }, (_, out, err) => resolve(out === "" ? err : out));
  });
  for (const line of text.trimEnd().split("\n")) console.log(`         ${line}`);
}

interface Gateway {
  readonly name: string;
  readonly folder: string;
  readonly line: Line;
  readonly sensor: MqttClient;
}

async function gateway(name: string, brokerPort: number): Promise<Gateway> {
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  const line = new Line(brokerPort);
  await line.start();
  const port = await freePort();
  const config = {
    device: { name },
    bus: { kind: "embedded", port },
    mode: "observe",
    agents: {
      pump: {
        sources: [
          {
            kind: "mqtt",
            topic: "pump/{pump}/vibration",
            key: "pump",
            fields: { rms: { unit: "mm/s", min: 0, max: 50 } },
          },
        ],
        rules: [{ id: "rough", when: "event.fields.rms > 7.1" }],
        record: { quiet: "all" },
      },
    },
  };
  const file = join(own, "holdfast.yaml");
  writeFileSync(file, JSON.stringify(config, undefined, 2));
  await shown("holdfast-fleet", ["enroll", name, "--broker", `mqtts://localhost:${line.port}`], folder);
  await shown("holdfast", ["enroll", `../${name}.enrolment.json`, "--write"], own);
  // Quicker than a gateway in the field, so that there is something to see.
  const hurry = { firstWithinSeconds: 0, reconnectWithinSeconds: 5, keepaliveSeconds: 10 };
  writeFileSync(file, withSection(readFileSync(file, "utf8"), "fleet", hurry) ?? "");
  started(name, process.execPath, [childPath("daemon/main"), "run"], own);
  const isReady = (): boolean => ran("daemon/main", ["status"], own).includes("ready");
  if (!(await becomes(isReady, 30_000))) throw new Error(`${name} does not start`);
  const sensor = await connectAsync({ host: "127.0.0.1", port, protocolVersion: 4 });
  return { name, folder: own, line, sensor };
}

function records(where: Gateway): number {
  const { streams } = JSON.parse(ran("daemon/main", ["outbox", "--json"], where.folder)) as {
    streams: { name: string; records: number }[];
  };
  return streams.filter(({ name }) => name !== "telemetry").reduce((sum, one) => sum + one.records, 0);
}

async function work(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  say(`everything is in ${folder}; end it at any time with Ctrl-C`);
  const port = await freePort();
  await shown(
    "holdfast-fleet",
    ["init", "--fleet", "try", "--broker-host", "localhost", "--port", String(port)],
    folder,
  );
  const conf = join("broker", "mosquitto.conf");
  // As root it would become a user who may not read this folder.
  if (process.getuid?.() === 0) appendFileSync(join(folder, conf), "user root\n");
  started("mosquitto", "mosquitto", ["-c", conf], folder);
  say(`mosquitto listens on ${port}: TLS, a certificate for everybody, each gateway below its own name alone`);
  const collector = started("collector", process.execPath, [childPath("fleet/main"), "serve"], folder);
  let said = "";
  collector.stdout?.on("data", (piece: Buffer) => (said += piece.toString()));
  if (!(await becomes(() => said.includes("collects from the broker"), 30_000))) throw new Error("no collector");
  say("a collector with an embedded database runs, and signs certificates");
  const [one, two] = [await gateway("pump-house-1", port), await gateway("pump-house-2", port)];
  say(`two gateways run, with ${READINGS_PER_SECOND} readings a second each`);
  let measured = 0;
  const timer = setInterval(() => {
    for (const { sensor } of [one, two]) {
      for (let n = 0; n < READINGS_PER_SECOND / 10; n++) {
        measured += 1;
        sensor.publish(`pump/p${measured % 3}/vibration`, JSON.stringify({ rms: ((measured * 37) % 800) / 100 }), {
          qos: 1,
        });
      }
    }
  }, 100);
  await wait(6);
  await shown("holdfast-fleet", ["gateways"], folder);
  one.line.be({ kind: "refused" });
  say(`the plug of ${one.name} is pulled: for ${SECONDS_WITHOUT} s nothing of it gets through`);
  await wait(SECONDS_WITHOUT / 2);
  await shown("holdfast", ["link"], one.folder);
  await wait(SECONDS_WITHOUT / 2);
  await shown("holdfast", ["outbox"], one.folder);
  say(`and it went on deciding: ${records(one)} records wait; ${two.name} has ${records(two)}`);
  one.line.be({ kind: "well" });
  say("the plug is in again");
  const from = performance.now();
  if (!(await becomes(() => records(one) < 100, 60_000))) throw new Error(`${one.name} does not settle`);
  say(`all but what came just now is with the fleet, ${((performance.now() - from) / 1000).toFixed(1)} s later`);
  clearInterval(timer);
  await wait(3);
  await shown("holdfast-fleet", ["gateways"], folder);
  await shown("holdfast-fleet", ["gaps"], folder);
  await shown("holdfast-fleet", ["decisions", "--rule", "rough", "--limit", "3"], folder);
  for (const { sensor, line } of [one, two]) {
    await sensor.endAsync(true);
    line.be({ kind: "well" });
  }
}

function wait(seconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, seconds * 1000));
}

async function leave(): Promise<void> {
  isOver = true;
  for (const child of [...children].reverse()) {
    child.kill("SIGTERM");
    await becomes(() => child.exitCode !== null || child.signalCode !== null, 10_000);
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void leave().then(() => process.exit(130)));
try {
  await work();
  say(`done. Look around in ${folder}, with: holdfast-fleet decisions --json`);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
await leave();
process.exit();
