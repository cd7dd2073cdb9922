import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { childPath } from "../../daemon/children.ts";

/** A parent that starts one host, says with which words, and whether it became ready. */
const PARENT = `
  const { HostProcess } = await import(process.argv[1]);
  const { readFileSync } = await import("node:fs");
  const gone = () => process.exit(1);
  const ready = () => {
    console.log(readFileSync("/proc/" + host.pid + "/cmdline", "latin1").replaceAll("\\0", " "));
    host.end();
  };
  const host = new HostProcess(process.argv[2], { ready, frame() {}, gone: () => process.exit(0) });
`;

test.each([
  ["without compiling at run time, as under MemoryDenyWriteExecute,", ["--jitless"], true],
  ["as usual", [], false],
])("a daemon that runs %s has hosts that do too, and they become ready", (_, flags, expected) => {
  const [host, main] = [pathToFileURL(childPath("models/host-process")).href, childPath("models/host/main")];
  const words = [...flags, "--input-type=module", "-e", PARENT, host, main];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8", timeout: 60_000 });
  // What V8 says of it; there is no WebAssembly without a compiler.
  expect(stderr.replace(/^Warning: disabling flag --expose_wasm .*\n/, "")).toBe("");
  expect(status).toBe(0);
  expect(stdout).toContain("models/host/main");
  expect(stdout.includes("--jitless")).toBe(expected);
});
