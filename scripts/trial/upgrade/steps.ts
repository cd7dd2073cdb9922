import { becomes, type Claims, sleep } from "../claims.ts";
import type { Machine } from "../service/machine.ts";
import { putDropIn, type Site } from "../service/site.ts";
import { isActive, ready, status, UNIT } from "../service/steps.ts";
import type { Span } from "./rates.ts";
import { type VersionName, versions } from "./versions.ts";

const STATE = "/var/lib/holdfast-upgrade";
const PREVIOUS = "/usr/lib/holdfast-previous";
/** Long enough that a rate can be told. */
export const STEADY_MS = 16_000;
/** One that hangs is given up three times. */
const BACK_MS = 420_000;
const SETTLE_SECONDS = 20;
const START_SECONDS = 8;

export class Upgrades {
  readonly spans: Span[] = [];
  /** How often the daemon was killed, or ended by itself. */
  ends = 0;
  readonly #site: Site;
  readonly #machine: Machine;
  readonly #claims: Claims;

  constructor(site: Site, claims: Claims) {
    this.#site = site;
    this.#machine = site.machine;
    this.#claims = claims;
  }

  /** What would take minutes takes seconds. */
  hurry(): void {
    const text = `[Service]\nEnvironment=HOLDFAST_SETTLE_SECONDS=${SETTLE_SECONDS}\nTimeoutStartSec=${START_SECONDS}\n`;
    putDropIn(this.#site, "hurry", text);
  }

  version(): string {
    return status(this.#machine)?.version ?? "none";
  }

  has(path: string): boolean {
    return this.#machine.try("test", "-e", path).code === 0;
  }

  /** One version over another that takes over: nothing but a pause. */
  async over(file: string, version: string, what: string): Promise<void> {
    await sleep(STEADY_MS);
    const fromMs = Date.now();
    const { code, text } = this.#machine.try("dpkg", "-i", "--force-downgrade", file);
    this.#claims.holds(code === 0, `${what}: dpkg -i ended with ${code}: ${text.slice(-600)}`);
    await ready(this.#machine, this.#claims, `after ${what}`);
    this.spans.push({ what, fromMs, toMs: Date.now() });
    this.#claims.holds(this.version() === version, `after ${what} ${this.version()} runs`);
  }

  /** What was kept for the way back goes, once the new version has stayed up. */
  async settles(): Promise<void> {
    this.#claims.holds(this.has(PREVIOUS), "the version before is not kept after an upgrade");
    const gone = await becomes(() => !this.has(PREVIOUS) && !this.has(STATE), (SETTLE_SECONDS + 30) * 1000);
    this.#claims.holds(gone, "the version before is still kept after the new one has stayed up");
  }

  /** A version that is no good: dpkg says so, and the version before runs with all that there was. */
  async comesBack(file: string, name: VersionName, before: string): Promise<void> {
    await sleep(STEADY_MS);
    const fromMs = Date.now();
    const { code, text } = this.#machine.try("dpkg", "-i", file);
    await this.#runsAgain(name, before, code, text);
    if (name === "ends before it is ready") {
      this.#claims.figure("what the technician sees", text.trim().split("\n").slice(-8).join("\n"));
      const again = this.#machine.try("dpkg", "--configure", "holdfast");
      await this.#runsAgain(name, before, again.code, again.text);
    }
    this.spans.push({ what: `${versions[name].version}, which ${name}`, fromMs, toMs: Date.now() });
  }

  async #runsAgain(name: VersionName, before: string, code: number, text: string): Promise<void> {
    const { version } = versions[name];
    // It may have been ready for a moment, so that dpkg was content.
    const mayPass = name === "ends soon after it is ready";
    this.#claims.holds(mayPass || code !== 0, `${version}, which ${name}: dpkg is content`);
    const isBack = await becomes(() => this.has(`${STATE}/returned`) && isActive(this.#machine), BACK_MS);
    this.#claims.holds(isBack, `${version}, which ${name}: the version before does not run again: ${text.slice(-600)}`);
    if (!isBack) return;
    const shown = this.#machine.property(UNIT, "StatusText");
    this.#claims.holds(this.version() === before, `${version}, which ${name}: ${this.version()} runs`);
    this.#claims.holds(shown.includes("the version before runs again"), `systemctl status does not tell: ${shown}`);
    this.ends += 3;
  }

  /** The power goes while dpkg is at work: it boots with one version or the other, whole; dpkg then ends what it began. */
  async cutWhile(file: string, before: string, version: string, afterMs: number): Promise<string> {
    this.#machine.run("sh", "-c", `setsid dpkg -i --force-downgrade ${file} >/dev/null 2>&1 &`);
    await sleep(afterMs);
    await this.#machine.cutPower();
    this.ends += 1;
    await this.#machine.boot();
    const when = `after a power cut ${Math.round(afterMs)} ms into dpkg -i`;
    await ready(this.#machine, this.#claims, when);
    const runs = this.version();
    this.#claims.holds([before, version].includes(runs), `${when} ${runs} runs`);
    const { code, text } = this.#machine.try("dpkg", "--configure", "-a");
    // What was cut in the middle of its files has to be unpacked again.
    const again = this.#machine.try("dpkg", "-i", "--force-downgrade", file);
    this.#claims.holds(
      again.code === 0,
      `${when} dpkg -i again: ${code} ${text.slice(-300)} ${again.text.slice(-600)}`,
    );
    await ready(this.#machine, this.#claims, `${when}, finished`);
    this.#claims.holds(this.version() === version, `${when}, finished, ${this.version()} runs`);
    return runs === before ? "before" : "new";
  }
}
