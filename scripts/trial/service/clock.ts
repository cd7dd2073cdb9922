import { cpSync } from "node:fs";
import { FakeTime } from "../act/fake-time.ts";
import { becomes, type Claims, sleep } from "../claims.ts";
import { eachDecision } from "../fixtures.ts";
import { checkLog } from "../kill-check.ts";
import type { Machine } from "./machine.ts";
import { DATA, drained, putDropIn, type Site, withReadings } from "./site.ts";
import { ready, status, UNIT } from "./steps.ts";

const FILE = "/srv/faketime/faketime";
const LIBRARY = "/usr/lib/holdfast-trial-faketime.so";
const SYNCHRONIZED = "/run/systemd/timesync/synchronized";
const DAY_SECONDS = 86_400;
/** Some of the rules' cycles, before the first jump and after each. */
const BETWEEN_MS = 25_000;
const SEEN_MS = 10_000;

/** A gateway without a battery for its clock: 1970 at the start, then it is told the time, then it jumps back a day. */
export async function clock(site: Site, claims: Claims): Promise<void> {
  const { machine, broker } = site;
  const library = FakeTime.libraryPath();
  if (library === undefined) {
    claims.holds(false, "Debian's package faketime is needed for the clock");
    return;
  }
  machine.run("systemctl", "stop", UNIT);
  machine.run("sh", "-c", `rm -rf ${DATA}/*; mkdir -p /srv/faketime`);
  cpSync(library, machine.path(LIBRARY));
  const time = fakeTime(machine);
  time(-Math.floor(Date.now() / 1000) + 60);
  putDropIn(site, "clock", `[Service]\nEnvironment=${variables().join(" ")}\n`);
  machine.run("systemctl", "start", UNIT);
  if (!(await ready(machine, claims, "in 1970"))) return;
  const told: string[] = [];
  const acknowledged = await withReadings({ port: broker.port }, claims, async () => {
    await passes(machine, claims, "in 1970", { trust: "unsynced", year: "1970" });
    told.push(machine.property(UNIT, "StatusText"));
    time(0);
    machine.run("sh", "-c", `mkdir -p $(dirname ${SYNCHRONIZED}) && touch ${SYNCHRONIZED}`);
    await passes(machine, claims, "when its clock was put right", { trust: "synced", year: year(0) });
    time(-DAY_SECONDS);
    await passes(machine, claims, "a day back", { trust: "synced", year: year(-DAY_SECONDS) });
  });
  claims.figure("in 1970, systemctl status shows", told[0]);
  claims.holds(told[0]?.includes("the clock is wrong") === true, "in 1970 systemctl status says nothing of the clock");
  await drained(machine, claims);
  machine.run("systemctl", "stop", UNIT);
  machine.run("rm", "-f", SYNCHRONIZED);
  const data = machine.path(DATA);
  checkLog({ bus: "1970", data, acknowledged, sent: Math.max(...acknowledged) + 1, killed: 0, claims });
  inOrder(data, claims);
}

/** What the library is told by a file within the machine; it looks each second. */
function fakeTime(machine: Machine): (seconds: number) => void {
  return (seconds) => {
    const text = `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}`;
    machine.run("sh", "-c", `echo '${text}' > ${FILE}.new && mv ${FILE}.new ${FILE}`);
  };
}

function variables(): string[] {
  return [
    ...[`LD_PRELOAD=${LIBRARY}`, `FAKETIME_TIMESTAMP_FILE=${FILE}`, "FAKETIME_CACHE_DURATION=1"],
    ...["DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"],
  ];
}

const year = (seconds: number): string => String(new Date(Date.now() + seconds * 1000).getUTCFullYear());

async function passes(
  machine: Machine,
  claims: Claims,
  when: string,
  expected: { readonly trust: string; readonly year: string },
): Promise<void> {
  const isTold = await becomes(() => {
    const shown = status(machine)?.clock;
    return shown?.trust === expected.trust && shown.wall.startsWith(expected.year);
  }, SEEN_MS);
  claims.holds(isTold, `${when}: status says of its clock ${JSON.stringify(status(machine)?.clock)}`);
  const before = status(machine)?.passes.decided ?? 0;
  await sleep(BETWEEN_MS);
  const decided = (status(machine)?.passes.decided ?? 0) - before;
  claims.figure(`decisions in ${BETWEEN_MS / 1000} s ${when}`, decided);
  claims.holds(decided > 1000, `${when} it decided ${decided} times in ${BETWEEN_MS} ms`);
}

/** Boot time goes on over each jump, and each record says whether its wall time can be trusted. */
function inOrder(data: string, claims: Claims): void {
  const trusts = new Map<string, number>();
  let back = 0;
  for (const agent of ["each"]) {
    let beforeMs = 0;
    for (const { decision } of eachDecision(data, agent)) {
      const { bootMs, trust } = decision.clock;
      if (bootMs < beforeMs - 5000) back += 1;
      beforeMs = Math.max(beforeMs, bootMs);
      trusts.set(trust, (trusts.get(trust) ?? 0) + 1);
    }
  }
  claims.figure(
    "decisions by what their records say of the clock",
    [...trusts].map(([t, n]) => `${t} ${n}`).join(", "),
  );
  claims.holds(
    (trusts.get("unsynced") ?? 0) > 0 && (trusts.get("synced") ?? 0) > 0,
    "the records do not tell the clock's trust",
  );
  claims.holds(back === 0, `boot time went back ${back} times`);
}
