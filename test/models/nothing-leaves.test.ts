import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";

const session = fileURLToPath(new URL("../../dist/models/host/session.js", import.meta.url));
const model = fileURLToPath(new URL("../fixtures/models/linear/model.onnx", import.meta.url));

let home: string | undefined;
afterEach(() => {
  if (home !== undefined) rmSync(home, { recursive: true, force: true });
});

/**
 * A process with a home of its own loads the inference library and a model; what lies in its home then. Without the
 * variable that is an identifier and a database, which is not tried here, since it would be sent.
 */
function leftBehind(script: string): string[] {
  home = mkdtempSync(join(tmpdir(), "holdfast-home-"));
  const { ORT_DISABLE_TELEMETRY: _, XDG_CACHE_HOME: __, ...environment } = process.env;
  execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    env: { ...environment, HOME: home },
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  });
  return readdirSync(home, { recursive: true, encoding: "utf8" });
}

const LOADS = `await InferenceSession.create(${JSON.stringify(model)}); setTimeout(() => process.exit(), 300);`;

test("the inference library keeps no account of this machine, and so has none to send away", () => {
  const script = `const { runtimeVersion } = await import(${JSON.stringify(session)}); await runtimeVersion();
    const { InferenceSession } = await import("onnxruntime-node"); ${LOADS}`;
  expect(leftBehind(script)).toEqual([]);
});
