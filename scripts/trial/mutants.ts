import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Claims } from "./claims.ts";
import { temporaryFolder } from "./daemon.ts";
import type { Trial } from "./trial.ts";

/** A guard that is taken out, and the oracle that has to notice. */
export interface Mutant {
  readonly name: string;
  /** Below dist. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly text: string;
  readonly instead: string;
  readonly faults: readonly string[];
  /** What a failure of the trial begins with. */
  readonly oracle: string;
  /** So many times as many rounds. */
  readonly times?: number;
}

const LONGEST_MS = 420_000;
const root = fileURLToPath(new URL("../../../", import.meta.url));

/** Takes out one guard after the other: the oracle that watches it has to notice, or it proves nothing. */
export function mutantTrial(trialName: string, mutants: readonly Mutant[], usualRounds: number): Trial {
  return async (options) => {
    const claims = new Claims(options.say);
    const folder = copyOfProgram();
    try {
      for (const mutant of mutants) {
        const said = runMutant(folder, trialName, mutant, (options.rounds ?? usualRounds) * (mutant.times ?? 1));
        const isSeen = said.includes(`${mutant.oracle}:`);
        claims.figure(mutant.name, isSeen ? `noticed by ${mutant.oracle}` : "NOT noticed");
        claims.holds(isSeen, `${mutant.oracle} does not notice that ${mutant.name}: ${said.slice(-500)}`);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return claims.result();
  };
}

function copyOfProgram(): string {
  const folder = temporaryFolder("mutants");
  cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
  for (const name of ["node_modules", "package.json", "models", "config", "test"])
    symlinkSync(join(root, name), join(folder, name));
  return folder;
}

/** Runs the trial on the program without the guard. Gives what failed. */
function runMutant(folder: string, trialName: string, { file, text, instead, faults }: Mutant, rounds: number): string {
  const path = join(folder, "dist", file);
  const whole = readFileSync(path, "utf8");
  if (whole.split(text).length !== 2) throw new Error(`${file} has this not exactly once: ${text}`);
  writeFileSync(
    path,
    whole.replace(text, () => instead),
  );
  try {
    const main = join(folder, "dist/scripts/trial/main.js");
    const args = [main, trialName, "--rounds", String(rounds), "--faults", faults.join(",")];
    const done = spawnSync(process.execPath, args, { encoding: "utf8", timeout: LONGEST_MS });
    return `${done.stdout}\n${done.stderr}`
      .split("\n")
      .filter((line) => line.startsWith("FAILED"))
      .join("\n");
  } finally {
    writeFileSync(path, whole);
  }
}
