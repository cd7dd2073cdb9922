// Writes the generated documents; with --check only says which of them are not what the sources make.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { documents } from "./documents.ts";

const root = process.cwd();
const isCheck = process.argv.includes("--check");
const stale: string[] = [];

for (const { path, render } of documents) {
  const file = join(root, path);
  const text = await render();
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  stale.push(path);
  if (isCheck) continue;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

if (isCheck && stale.length > 0) {
  console.error(`Not in step with the sources: ${stale.join(", ")}. Run npm run docs and commit the result.`);
  process.exitCode = 1;
} else
  console.log(
    isCheck
      ? `${documents.length} documents are in step.`
      : `written: ${stale.join(", ") || "nothing, all are in step"}`,
  );
