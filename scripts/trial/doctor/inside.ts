import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Finding } from "../../../daemon/doctor/finding.ts";
import { Cable } from "../cable/network.ts";
import { Claims, spread } from "../claims.ts";
import { temporaryFolder } from "../daemon.ts";
import { debianRoot, Machine, missingPrograms } from "../service/machine.ts";
import type { TrialOptions, TrialResult } from "../trial.ts";
import { Broker } from "./broker.ts";
import type { Case } from "./case.ts";
import { cases } from "./cases.ts";
import { NameServer } from "./name-server.ts";
import { DATA, Site } from "./site.ts";

const PACKAGES = "dist/packages";
const CACHE = "dist/package-cache";
const PROGRAM = "/usr/lib/holdfast/dist";
const PARTS = ["config", "daemon", "models", "sync"];
/** Doctor says that it ends within 30 s. */
const LIMIT_MS = 30_000;

type Options = Pick<TrialOptions, "faults" | "keep" | "say">;

/** The whole trial, in a process with a network of its own: broker and name server here, the machine at the other end. */
export async function inside(options: Options): Promise<TrialResult> {
  const claims = new Claims(options.say);
  const missing = missingPrograms();
  if (missing.length > 0) return { figures: {}, failures: [`Debian's packages with ${missing.join(", ")} are needed`] };
  const deb = existsSync(PACKAGES)
    ? readdirSync(PACKAGES)
        .filter((name) => name.endsWith("_amd64.deb"))
        .sort()
        .at(-1)
    : undefined;
  if (deb === undefined) return { figures: {}, failures: [`there is no package in ${PACKAGES}: npm run package`] };
  const folder = temporaryFolder("doctor");
  const cable = await Cable.lay();
  const machine = Machine.fresh(debianRoot(resolve(CACHE)), join(folder, "root"), cable.holderPid);
  const [broker, names] = [new Broker(folder), new NameServer()];
  try {
    await machine.boot();
    cpSync(join(PACKAGES, deb), machine.path("/srv/holdfast.deb"));
    machine.run("dpkg", "-i", "/srv/holdfast.deb");
    // The code as it is now, whenever the package was made.
    for (const part of PARTS) cpSync(join("dist", part), machine.path(join(PROGRAM, part)), { recursive: true });
    await Promise.all([broker.start(), names.start()]);
    const site = new Site(machine, broker, names, cable);
    await site.setUp();
    await allCases(site, options, claims);
  } finally {
    await machine.end();
    await broker.stop();
    names.stop();
    cable.end();
    if (options.keep) options.say(`kept: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
  return claims.result();
}

async function allCases(site: Site, { faults }: Options, claims: Claims): Promise<void> {
  const tookMs: number[] = [];
  clean(site, claims, tookMs, "before anything is broken");
  asMember(site, claims);
  site.doctor();
  claims.holds(!/\.probe|-wal/.test(site.sh(`ls ${DATA}`)), "doctor leaves files behind");
  await site.start();
  const chosen = cases.filter(({ name }) => faults === undefined || faults.some((one) => name.includes(one)));
  let found = 0;
  for (const one of chosen) {
    try {
      if (await oneCase(site, one, claims, tookMs)) found += 1;
    } catch (error) {
      claims.holds(false, `${one.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  claims.figure("cases; of these found and clean once mended", `${chosen.length}; ${found}`);
  claims.figure("doctor took, in s", spread(tookMs.map((ms) => ms / 1000)));
  claims.figure("the longest, in s", Math.round(Math.max(...tookMs) / 100) / 10);
  claims.holds(Math.max(...tookMs) <= LIMIT_MS, "doctor took longer than it says");
}

async function oneCase(
  site: Site,
  { name, check, problem, todo, ...how }: Case,
  claims: Claims,
  tookMs: number[],
): Promise<boolean> {
  const variables = await how.break(site);
  if (variables === "can not be made here") {
    claims.figure(name, variables);
    return false;
  }
  let isFound = false;
  try {
    const report = site.doctor(variables ?? []);
    tookMs.push(report.tookMs);
    const bad = report.findings.filter(isBad);
    const finding = bad.find((one) => one.check === check && one.problem === problem);
    const hasError = bad.some(({ level }) => level === "error");
    isFound = finding?.todo?.includes(todo) === true && report.code === (hasError ? 1 : 0);
    const others = bad.filter((one) => one !== finding).map((one) => `${one.check} ${one.problem}`);
    const told = finding === undefined ? "NOT FOUND" : `${finding.level} ${check} ${problem}: ${finding.found}`;
    claims.figure(name, `${told}${others.length === 0 ? "" : `; besides: ${others.join(", ")}`}`);
    claims.holds(isFound, `${name}: ${told}; exit ${report.code}; to do: ${finding?.todo}`);
  } finally {
    await how.mend(site);
  }
  return clean(site, claims, tookMs, `after ${name}`) && isFound;
}

/** What only root may see is skipped, and no error. */
function asMember(site: Site, claims: Claims): void {
  const member = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=holdfast"];
  for (const state of ["active", "stopped"]) {
    if (state === "stopped") site.stop();
    const { findings } = site.doctor([], member);
    const count = (level: string): number => findings.filter((one) => one.level === level).length;
    const told = ["ok", "warning", "error", "skipped"].map((level) => `${count(level)} ${level}`).join(", ");
    claims.figure(`by a member of the group, the service ${state}`, told);
    claims.holds(
      count("error") === 0,
      `a member of the group sees errors: ${findings
        .filter((one) => one.level === "error")
        .map((one) => `${one.check} ${one.found}`)
        .join("; ")}`,
    );
    if (state === "stopped") claims.holds(!site.sh(`ls ${DATA}`).includes("-wal"), "doctor leaves a WAL behind");
  }
}

/** A check that always cries would be found everywhere. */
function clean(site: Site, claims: Claims, tookMs: number[], when: string): boolean {
  const report = site.doctor();
  tookMs.push(report.tookMs);
  const bad = report.findings.filter(isBad);
  const isClean = bad.length === 0 && report.code === 0;
  claims.holds(
    isClean,
    `doctor is not content ${when}: ${bad.map((one) => `${one.check} ${one.problem}: ${one.found}`).join("; ")}`,
  );
  return isClean;
}

function isBad({ level }: Finding): boolean {
  return level === "error" || level === "warning";
}
