// What is not TypeScript but belongs to the program: models with their manifests, example configurations.
import { chmodSync, cpSync, existsSync } from "node:fs";

for (const folder of ["models/bundled", "config/examples"]) {
  if (existsSync(folder)) cpSync(folder, `dist/${folder}`, { recursive: true, force: true, preserveTimestamps: true });
}
for (const program of ["dist/daemon/main.js", "dist/fleet/main.js"]) if (existsSync(program)) chmodSync(program, 0o755);
