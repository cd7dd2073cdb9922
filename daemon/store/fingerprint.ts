import { createHash } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * Tells one machine from another, so that a copied data directory is noticed: machine id, the board's serial number,
 * hardware addresses and serial numbers of what is built in. What can be plugged in must not change it.
 */
export function machineFingerprint(): string {
  const parts = [
    readOr("/etc/machine-id"),
    readOr("/proc/device-tree/serial-number"),
    ...diskSerials(),
    ...cardAddresses(),
  ];
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 32);
}

function diskSerials(): string[] {
  return entriesOf("/sys/block")
    .filter((name) => /^(mmcblk|nvme|sd|vd)/.test(name) && !isPluggable(`/sys/block/${name}`))
    .map((name) => readOr(`/sys/block/${name}/device/serial`) || readOr(`/sys/block/${name}/serial`))
    .filter((serial) => serial !== "")
    .sort();
}

function cardAddresses(): string[] {
  return entriesOf("/sys/class/net")
    .filter((name) => /^(en|eth|wl)/.test(name) && !isPluggable(`/sys/class/net/${name}`))
    .map((name) => readOr(`/sys/class/net/${name}/address`))
    .sort();
}

function isPluggable(path: string): boolean {
  try {
    return readlinkSync(path).includes("/usb");
  } catch {
    // No link, no bus: certainly not USB.
    return false;
  }
}

function entriesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // No sysfs, as in some containers: the other parts have to do.
    return [];
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    // Not there, or not ours to read: the other parts have to do.
    return "";
  }
}
