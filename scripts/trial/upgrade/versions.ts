import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PROGRAM = "usr/lib/holdfast";
const RUN = `${PROGRAM}/dist/daemon/commands/run.js`;
const READY = "await composed.heartbeat?.ready();";

interface Change {
  readonly file: string;
  readonly from: string | RegExp;
  readonly to: string;
}

/** Both databases get a form that no version before knows. */
const FORM: readonly Change[] = [
  {
    file: `${PROGRAM}/dist/daemon/store/schema.js`,
    from: /(ranges TEXT NOT NULL, PRIMARY KEY \(epoch, stream\)\) WITHOUT ROWID;`,\n\s*\},)/,
    to: "$1 { to: 4, sql: \"CREATE TABLE novel (n INTEGER PRIMARY KEY, what TEXT); INSERT INTO novel VALUES (1, 'form 4');\" },",
  },
  {
    file: `${PROGRAM}/dist/daemon/store/schema.js`,
    from: /(CREATE TABLE inbox [^\n]*\n\s*\},)/,
    to: '$1 { to: 3, sql: "ALTER TABLE generation ADD COLUMN note TEXT;" },',
  },
  {
    file: `${PROGRAM}/dist/daemon/store/control-store.js`,
    from: "INSERT OR REPLACE INTO generation VALUES (?, ?, ?, ?)",
    to: "INSERT OR REPLACE INTO generation VALUES (?, ?, ?, ?, 'new')",
  },
];

const failing = (to: string): readonly Change[] => [...FORM, { file: RUN, from: READY, to }];

/** Versions that may come after today's, and what is wrong with them. All but `same` change the databases' form. */
export const versions = {
  same: { version: "0.1.1", changes: [] },
  next: { version: "0.2.0", changes: FORM },
  "ends before it is ready": { version: "0.3.0", changes: failing('throw new Error("this version does not start");') },
  "ends soon after it is ready": {
    version: "0.4.0",
    changes: failing(`${READY} setTimeout(() => fail.resolve(new Error("this version does not stay up")), 2000);`),
  },
  "does not take the configuration": { version: "0.5.0", changes: failing("process.exit(78);") },
  "is never ready": {
    version: "0.6.0",
    changes: failing("await new Promise(() => setInterval(() => undefined, 1000));"),
  },
  "can not even be loaded": {
    version: "0.7.0",
    changes: [{ file: `${PROGRAM}/dist/daemon/main.js`, from: /^/, to: "import 'a-module-that-is-not-there';\n" }],
  },
} as const satisfies Record<string, { version: string; changes: readonly Change[] }>;

export type VersionName = keyof typeof versions;

/** Builds another version's package of today's: the same tree, changed. Gives its file. */
export function packageOf(name: VersionName, base: string, folder: string): string {
  const { version, changes } = versions[name];
  const tree = join(folder, `tree-${version}`);
  execFileSync("dpkg-deb", ["-R", base, tree]);
  const edit = (file: string, from: string | RegExp, to: string): void => {
    const path = join(tree, file);
    const text = readFileSync(path, "utf8");
    const changed = text.replace(from, to);
    if (changed === text) throw new Error(`${file} has no ${String(from)} any more`);
    writeFileSync(path, changed);
  };
  edit("DEBIAN/control", /^Version: .*$/m, `Version: ${version}`);
  edit(`${PROGRAM}/package.json`, /"version":"[^"]*"/, `"version":"${version}"`);
  for (const { file, from, to } of changes) edit(file, from, to);
  const deb = join(folder, `holdfast_${version}.deb`);
  execFileSync("dpkg-deb", ["--root-owner-group", "-Znone", "--build", tree, deb], { stdio: "ignore" });
  rmSync(tree, { recursive: true });
  return deb;
}
