import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A file that belongs to the program, found from the sources and from dist alike. */
function asset(path: string): string {
  for (const up of ["../", "../../"]) {
    const found = fileURLToPath(new URL(up + path, import.meta.url));
    if (existsSync(found)) return found;
  }
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

/** The models that come with Holdfast: one folder a name, one below it a version. */
export const bundledModels = (): string => asset("models/bundled");

/** What runs when nobody names a configuration: the gateway watches its own machine. */
export const bundledExample = (): string => asset("config/examples/this-machine/holdfast.yaml");
