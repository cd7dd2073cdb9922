// What is not TypeScript but belongs to the program: models with their manifests, example configurations.
import { chmodSync, cpSync, existsSync } from "node:fs";

for (const folder of ["models/bundled", "config/examples"]) {
  if (existsSync(folder)) cpSync(folder, `dist/${folder}`, { recursive: true, force: true, preserveTimestamps: true });
}
if (existsSync("dist/daemon/main.js")) chmodSync("dist/daemon/main.js", 0o755);
