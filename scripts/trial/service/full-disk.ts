import { becomes, type Claims, sleep } from "../claims.ts";
import type { Machine } from "./machine.ts";
import { isActive, ready, status, UNIT } from "./steps.ts";

const DATA = "/var/lib/holdfast";
const ASIDE = "/var/lib/holdfast-aside";
/** Besides what is there already. */
const MEGABYTES = 64;
const FULL_MS = 15_000;

/** Its data lie on a small disk, which is filled and emptied: it goes on by itself, and says meanwhile what is wrong. */
export async function fullDisk(machine: Machine, claims: Claims): Promise<void> {
  machine.run("systemctl", "stop", UNIT);
  machine.run(
    "sh",
    "-c",
    `set -e; cp -a ${DATA} ${ASIDE}; size=$((${MEGABYTES} + $(du -sm ${DATA} | cut -f1)))
     mount -t tmpfs -o size=\${size}M,mode=0750 small ${DATA}; chown holdfast: ${DATA}; cp -a ${ASIDE}/. ${DATA}; rm -r ${ASIDE}`,
  );
  machine.run("systemctl", "start", UNIT);
  await ready(machine, claims, "on a small disk");
  machine.try("sh", "-c", `cat /dev/zero > ${DATA}/filler 2>/dev/null`);
  const told = await becomes(() => /log (?!ok)/.test(machine.property(UNIT, "StatusText")), FULL_MS);
  claims.figure("on a full disk, systemctl status shows", machine.property(UNIT, "StatusText"));
  claims.holds(told && isActive(machine), "on a full disk it ends, or says nothing of it");
  machine.run("rm", `${DATA}/filler`);
  const before = status(machine)?.passes.decided ?? 0;
  await sleep(1000);
  const goesOn = await becomes(() => (status(machine)?.passes.decided ?? 0) > before + 100, 60_000);
  claims.holds(goesOn, "with room on the disk again it does not go on by itself");
  machine.run("systemctl", "stop", UNIT);
  machine.run(
    "sh",
    "-c",
    `set -e; cp -a ${DATA} ${ASIDE}; umount ${DATA}; rm -rf ${DATA}/*; cp -a ${ASIDE}/. ${DATA}; rm -r ${ASIDE}`,
  );
  machine.run("systemctl", "start", UNIT);
  await ready(machine, claims, "on its own disk again");
}
