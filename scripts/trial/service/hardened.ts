import { becomes, type Claims } from "../claims.ts";
import { countersIn, eachDecision } from "../fixtures.ts";
import { Readings } from "../pumps.ts";
import { paced, Sensor } from "../sensor.ts";
import { asReadmeSays, verified } from "./drop-ins.ts";
import type { Machine } from "./machine.ts";
import { DATA, drained, exposure, type Site } from "./site.ts";
import { ready, status, UNIT } from "./steps.ts";

const MESSAGES = 10_000;
/** So many before anything is measured: whatever is compiled at run time is by then. */
const WARM_UP = 5000;
const IN_HAND = 2000;
const CALM_PER_SECOND = 20;
const CALM_MESSAGES = 200;
const LIMIT_MS = 240_000;

interface Measured {
  readonly sent: number;
  readonly perSecond: number;
  /** Of all its processes, for each decision. */
  readonly cpuMs: number;
}

/** No memory that is writable and executable, so no JIT: what it costs, against the same without. */
export async function hardened(site: Site, claims: Claims): Promise<void> {
  const { machine } = site;
  const plain = await flood(site, claims, 0);
  asReadmeSays(machine, "hardened");
  claims.holds(verified(machine) === "", `systemd-analyze verify with hardened: ${verified(machine)}`);
  if (!(await ready(machine, claims, "with the drop-in hardened"))) return;
  const restarts = machine.property(UNIT, "NRestarts");
  claims.holds(isWithoutJit(machine), "with the drop-in hardened its memory may still be written and run");
  const calm = await atLeisure(site, claims, plain.sent);
  const with_ = await flood(site, claims, plain.sent + calm);
  await drained(machine, claims);
  claims.holds(machine.property(UNIT, "NRestarts") === restarts, "with the drop-in hardened it was started again");
  claims.figure("hardened: systemd-analyze security", exposure(machine));
  const times = (with_.cpuMs / plain.cpuMs).toFixed(1);
  claims.figure(
    "CPU time for one decision, plain and hardened, in ms",
    `${plain.cpuMs.toFixed(2)}, ${with_.cpuMs.toFixed(2)}: ${times} times`,
  );
  claims.figure("decisions a second under a flood, plain and hardened", `${plain.perSecond}, ${with_.perSecond}`);
  machine.run("systemctl", "stop", UNIT);
  const data = machine.path(DATA);
  const flooded = plain.sent + calm;
  const unanswered = fallbacksIn(data, (index) => index >= plain.sent && index < flooded);
  claims.figure(`hardened, ${CALM_PER_SECOND} messages a second: decided by fallback, in all`, unanswered.join(" of "));
  claims.holds(unanswered[0] === 0, "with the drop-in hardened the model gives no answer in time");
  const fallbacks = [(index: number) => index < plain.sent, (index: number) => index >= flooded].map((isMeant) =>
    fallbacksIn(data, isMeant).join(" of "),
  );
  claims.figure("under the flood by fallback, in all: plain; hardened", fallbacks.join("; "));
  const all = flooded + with_.sent;
  for (const agent of ["each", "window"]) {
    const { decided } = countersIn(data)[agent] ?? {};
    claims.holds(decided === all, `hardened, ${agent}: of ${all} acknowledged ${decided} were decided`);
  }
}

/** As a plant sends them: every decision has its model's answer. Gives how many. */
async function atLeisure({ machine, broker }: Site, claims: Claims, first: number): Promise<number> {
  const before = decidedBy(machine);
  const sensor = await new Sensor(broker.port, "plant").open();
  const readings = new Readings(sensor, first);
  await paced(CALM_PER_SECOND, () => readings.sent - first >= CALM_MESSAGES, readings.send);
  const isTaken = await sensor.settled(LIMIT_MS);
  const isDone = await becomes(() => decidedBy(machine) >= before + readings.acknowledged.size * 2, LIMIT_MS);
  claims.holds(isTaken && isDone, "hardened, it does not decide about what comes at leisure");
  sensor.close();
  return readings.sent - first;
}

/** As many messages as it takes, from a sensor that keeps it busy. */
async function flood({ machine, broker }: Site, claims: Claims, first: number): Promise<Measured> {
  const sensor = await new Sensor(broker.port, "flood").open();
  const readings = new Readings(sensor, first);
  const send = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at++) {
      await sensor.room(IN_HAND);
      readings.send();
    }
    const target = (readings.sent - first) * 2 + before;
    const isDone = await becomes(() => decidedBy(machine) >= target, LIMIT_MS);
    claims.holds(isDone, `of ${target} decisions ${decidedBy(machine)} were made`);
  };
  const before = decidedBy(machine);
  await send(WARM_UP);
  const [began, cpu] = [performance.now(), cpuMs(machine)];
  await send(MESSAGES);
  const count = MESSAGES * 2;
  const measured = {
    sent: readings.acknowledged.size,
    perSecond: Math.round(count / ((performance.now() - began) / 1000)),
    cpuMs: (cpuMs(machine) - cpu) / count,
  };
  sensor.close();
  return measured;
}

/** Decisions without an answer of the model, of how many. */
function fallbacksIn(data: string, isMeant: (index: number) => boolean): readonly [number, number] {
  let [fallbacks, all] = [0, 0];
  for (const { decision } of eachDecision(data)) {
    if (decision.eventId === undefined || !isMeant(Number(decision.eventId.slice(1)))) continue;
    all += 1;
    if (decision.source === "fallback") fallbacks += 1;
  }
  return [fallbacks, all];
}

const decidedBy = (machine: Machine): number => status(machine)?.passes.decided ?? 0;

/** proc(5): user and system time in hundredths of a second, of the daemon and of its hosts. */
function cpuMs(machine: Machine): number {
  const main = machine.property(UNIT, "MainPID");
  const pids = [main, ...machine.try("pgrep", "-P", main).out.trim().split("\n").filter(Boolean)];
  const times = pids.map((pid) => machine.run("cat", `/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? []);
  return times.reduce((sum, fields) => sum + (Number(fields[11]) + Number(fields[12])) * 10, 0);
}

/** proc(5): no part of its memory is writable and executable. */
function isWithoutJit(machine: Machine): boolean {
  const pid = machine.property(UNIT, "MainPID");
  const maps = machine.run("cat", `/proc/${pid}/maps`);
  return !/^\S+ .wx/m.test(maps) && machine.property(UNIT, "MemoryDenyWriteExecute") === "yes";
}
