import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { becomes, type Claims, sleep } from "../claims.ts";
import { countersIn } from "../fixtures.ts";
import type { Machine } from "./machine.ts";
import { DATA, drained, type Site, withReadings } from "./site.ts";
import { isActive, ready, status, UNIT } from "./steps.ts";

const CARD_MEGABYTES = 128;
const LOOK_MS = 30_000;
/** A start that found it read-only ends after a minute, and the next one finds it writable. */
const BACK_MS = 120_000;
const MOST_STARTS = 3;

/** The machine's root is read-only, and its data lie on a card that fails, and is read-only at the start. */
export async function readOnly(site: Site, claims: Claims): Promise<void> {
  const acknowledged = (await readOnlyRoot(site, claims)) + (await failingCard(site, claims));
  claims.figure("readings acknowledged on a read-only root and on a card that failed", acknowledged);
}

/** As many gateways are built: nothing can be written but the data directory, and what is in memory. */
async function readOnlyRoot({ machine, folder, broker }: Site, claims: Claims): Promise<number> {
  await machine.powerOff();
  const data = join(folder, "data");
  execFileSync("cp", ["-a", machine.path(DATA), data]);
  await machine.boot(["--read-only", `--bind=${data}:${DATA}`, "--tmpfs=/var/log", "--tmpfs=/var/tmp"]);
  claims.holds(machine.try("touch", "/etc/holdfast/x").code !== 0, "the root is not read-only, so nothing was tried");
  await ready(machine, claims, "on a read-only root");
  const { size } = await withReadings({ port: broker.port }, claims, async () => {
    await decides(machine, claims, "on a read-only root");
  });
  await drained(machine, claims);
  await machine.powerOff();
  everyOne(data, size, "on a read-only root", claims);
  await machine.boot();
  await ready(machine, claims, "on its own root again");
  machine.run("systemctl", "stop", UNIT);
  machine.run("sh", "-c", `rm -rf ${DATA}/*`);
  return size;
}

/** ext4 gives up writing as it does when a card no longer takes anything; then the card is mended, and is found read-only. */
async function failingCard({ machine, folder, broker }: Site, claims: Claims): Promise<number> {
  const card = putCard(machine, folder);
  machine.run("systemctl", "start", UNIT);
  await ready(machine, claims, "with its data on a card");
  const { size } = await withReadings({ port: broker.port }, claims, async () => {
    await decides(machine, claims, "with its data on a card");
    const before = starts(machine);
    writeFileSync(`/sys/fs/ext4/${basename(card)}/trigger_fs_error`, "1");
    const told = await becomes(() => machine.property(UNIT, "StatusText").includes("is read-only"), LOOK_MS + 10_000);
    claims.figure("the card fails: systemctl status shows", machine.property(UNIT, "StatusText"));
    claims.holds(told, "a card that became read-only is not told in plain words");
    const decided = status(machine)?.passes.decided;
    await sleep(LOOK_MS);
    claims.holds(status(machine)?.passes.decided === decided, "it decides what it can not write down");
    const again = starts(machine) - before;
    claims.holds(isActive(machine) && again <= MOST_STARTS, `with a card that failed it started ${again} times`);
    claims.figure(`starts in the ${LOOK_MS / 1000} s after the card failed`, again);
    await foundReadOnly(machine, card, claims);
    await decides(machine, claims, "when the card can be written again");
  });
  await drained(machine, claims);
  machine.run("systemctl", "stop", UNIT);
  const copy = join(folder, "card");
  mkdirSync(copy);
  machine.run("sh", "-c", `cp -a ${DATA} /var/tmp/card && umount ${DATA} && rm /dev/card`);
  cpSync(machine.path("/var/tmp/card"), copy, { recursive: true });
  machine.run("rm", "-r", "/var/tmp/card");
  execFileSync("losetup", ["-d", card]);
  everyOne(copy, size, "on a card that failed", claims);
  machine.run("systemctl", "start", UNIT);
  await ready(machine, claims, "without the card");
  return size;
}

/** The card is read-only when the service starts; and can be written a while later, without anybody starting it again. */
async function foundReadOnly(machine: Machine, card: string, claims: Claims): Promise<void> {
  machine.run("systemctl", "stop", UNIT);
  machine.run("umount", DATA);
  const code = machine.try("e2fsck", "-fy", "/dev/card").code;
  claims.holds(code === 0 || code === 1, `e2fsck of ${card} ended with ${code}`);
  machine.run("mount", "-o", "ro,errors=remount-ro", "/dev/card", DATA);
  machine.run("systemctl", "start", "--no-block", UNIT);
  const told = await becomes(() => machine.property(UNIT, "StatusText").includes("is read-only"), LOOK_MS);
  claims.figure("started on a read-only card: systemctl status shows", machine.property(UNIT, "StatusText"));
  claims.holds(told, "a start on a read-only card is not told in plain words");
  const before = starts(machine);
  await sleep(LOOK_MS);
  const again = starts(machine) - before;
  claims.figure(`starts in ${LOOK_MS / 1000} s on a read-only card`, again);
  claims.holds(again <= MOST_STARTS, `on a read-only card it started ${again} times in ${LOOK_MS / 1000} s`);
  machine.run("mount", "-o", "remount,rw", DATA);
  claims.holds(
    await becomes(() => isActive(machine), BACK_MS),
    "with the card writable again it does not come up by itself",
  );
}

/** An ext4 of its own in the data directory's place; gives the loop device, as this machine has it. */
function putCard(machine: Machine, folder: string): string {
  const image = join(folder, "card.img");
  execFileSync("truncate", ["-s", `${CARD_MEGABYTES}M`, image]);
  execFileSync("mkfs.ext4", ["-q", "-F", image]);
  const device = execFileSync("losetup", ["-f", "--show", image], { encoding: "utf8" }).trim();
  const number = basename(device).replace("loop", "");
  machine.run(
    "sh",
    "-c",
    `set -e; mknod /dev/card b 7 ${number}; mount -o errors=remount-ro /dev/card ${DATA}; chown holdfast: ${DATA}; chmod 750 ${DATA}`,
  );
  return device;
}

const starts = (machine: Machine): number => Number(machine.property(UNIT, "NRestarts"));

async function decides(machine: Machine, claims: Claims, when: string): Promise<void> {
  const before = status(machine)?.passes.decided ?? 0;
  const goesOn = await becomes(() => (status(machine)?.passes.decided ?? 0) > before + 100, BACK_MS);
  claims.holds(goesOn, `${when} nothing is decided`);
}

function everyOne(data: string, acknowledged: number, where: string, claims: Claims): void {
  for (const agent of ["each", "window"]) {
    const { decided } = countersIn(data)[agent] ?? {};
    claims.holds(
      decided === acknowledged,
      `${where}, ${agent}: of ${acknowledged} acknowledged ${decided} were decided`,
    );
  }
}
