import { fileURLToPath } from "node:url";

/**
 * The compiled entry of a child process or worker thread: `childPath("models/host/main")`. Node 20 can neither fork
 * nor start a worker from a `.ts` file, so the answer lies in dist/ whether the caller was compiled or not.
 */
export function childPath(entry: string): string {
  const root = import.meta.url.endsWith(".js") ? "../" : "../dist/";
  return fileURLToPath(new URL(`${root}${entry}.js`, import.meta.url));
}
