import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readSecret } from "../../config/secrets.ts";
import { temporaryFolder } from "./workspace.ts";

function secretFile(folder: string, name: string, text: string, mode = 0o640): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

describe("a secret", () => {
  const baseDirectory = temporaryFolder();

  it("is read from a file beside the configuration, without the newline at its end", () => {
    secretFile(baseDirectory, "bus.password", "hunter2\n");
    expect(readSecret("bus.password", { environment: {}, baseDirectory })).toBe("hunter2");
  });

  it("is read from an absolute path", () => {
    const file = secretFile(temporaryFolder(), "p", " with spaces \r\n");
    expect(readSecret(file, { environment: {}, baseDirectory })).toBe(" with spaces ");
  });

  it("is a credential of the service manager before it is a file", () => {
    const credentials = temporaryFolder();
    secretFile(credentials, "bus.password", "credential");
    const environment = { CREDENTIALS_DIRECTORY: credentials };
    expect(readSecret("bus.password", { environment, baseDirectory })).toBe("credential");
    expect(readSecret("./bus.password", { environment, baseDirectory })).toBe("hunter2");
  });

  it("is refused when every user can read it", () => {
    const file = secretFile(baseDirectory, "open", "hunter2", 0o644);
    expect(() => readSecret("open", { environment: {}, baseDirectory })).toThrow(
      expect.objectContaining({ code: "CONFIG_SECRET_EXPOSED", detail: { file }, hint: `Run: chmod o-r ${file}` }),
    );
  });

  it("is told apart: missing, empty, a folder, too large", () => {
    const read = (name: string) => () => readSecret(name, { environment: {}, baseDirectory });
    secretFile(baseDirectory, "empty", "\n");
    secretFile(baseDirectory, "large", "x".repeat(65_537));
    chmodSync(baseDirectory, 0o700);
    expect(read("none")).toThrow(expect.objectContaining({ code: "CONFIG_SECRET_MISSING" }));
    expect(read("empty")).toThrow(expect.objectContaining({ code: "CONFIG_SECRET_EMPTY" }));
    expect(read(".")).toThrow(expect.objectContaining({ code: "CONFIG_SECRET_UNREADABLE" }));
    expect(read("large")).toThrow(expect.objectContaining({ code: "CONFIG_SECRET_UNREADABLE" }));
  });
});
