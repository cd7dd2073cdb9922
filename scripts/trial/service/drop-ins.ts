import type { Claims } from "../claims.ts";
import type { Machine } from "./machine.ts";
import { exposure, type Site } from "./site.ts";
import { ready, status, UNIT } from "./steps.ts";

const FOLDER = "/usr/share/holdfast/drop-ins";

/** Puts a drop-in of the package in as its README says, by the README's own lines. */
export function asReadmeSays(machine: Machine, name: string): void {
  const readme = machine.run("cat", `${FOLDER}/README.md`);
  const lines = readme.split("\n").filter((line) => line.startsWith("    "));
  const script = lines.map((line) => line.trim().replaceAll("serial.conf", `${name}.conf`)).join("\n");
  if (!script.includes(`${name}.conf`)) throw new Error(`the README of the drop-ins does not say how: ${readme}`);
  machine.run("sh", "-ec", `cd ${FOLDER}\n${script}`);
}

export function takeOut(machine: Machine): void {
  machine.run("rm", "-r", `/etc/systemd/system/${UNIT}.d`);
  machine.run("systemctl", "daemon-reload");
  machine.run("systemctl", "restart", UNIT);
}

/** What systemd finds wrong with the unit as it is now; of the machine's other units it may find what it likes. */
export function verified(machine: Machine): string {
  const lines = machine.try("systemd-analyze", "verify", UNIT).text.split("\n");
  // The machine has no man pages, which systemd would look up.
  return lines.filter((line) => line.includes("holdfast") && !line.includes("Command 'man ")).join("; ");
}

/** Each drop-in of the package by itself: systemd has nothing to say against it, and the service starts and decides. */
export async function dropIns({ machine }: Site, claims: Claims): Promise<void> {
  const figures: string[] = [`none ${exposure(machine)}`];
  claims.holds(verified(machine) === "", `systemd-analyze verify: ${verified(machine)}`);
  for (const name of ["serial", "gpio", "programs"]) {
    asReadmeSays(machine, name);
    const wrong = verified(machine);
    claims.holds(wrong === "", `systemd-analyze verify with ${name}: ${wrong}`);
    if (await ready(machine, claims, `with the drop-in ${name}`)) {
      const shown = status(machine);
      claims.holds(shown !== undefined, `with the drop-in ${name} it does not answer`);
      figures.push(`${name} ${exposure(machine)}`);
    }
    takeOut(machine);
    await ready(machine, claims, `without the drop-in ${name} again`);
  }
  claims.figure("systemd-analyze security by drop-in", figures.join(", "));
}
