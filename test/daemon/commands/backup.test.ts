import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { program } from "../../../daemon/commands/program.ts";
import { fakeIo } from "../../support/io.ts";
import { site } from "../backup/site.ts";

let folder: string;
let where: string[];
let archive: string;
beforeEach(async () => {
  const made = await site(3);
  folder = made.folder;
  archive = made.archive;
  const config = join(folder, "holdfast.yaml");
  writeFileSync(config, "schemaVersion: 1\ndevice: { name: plant-7 }\n");
  where = ["--config", config, "--data", made.data];
});

test("a restore and a reset without a terminal need --yes", async () => {
  expect(await program(["restore", archive, ...where], fakeIo())).toBe(2);
  expect(await program(["factory-reset", ...where], fakeIo())).toBe(2);
  expect(existsSync(join(folder, "data/records.db"))).toBe(true);
});

test("a reset at a terminal wants the gateway's name, and nothing else", async () => {
  const asked: string[] = [];
  const answering = (answer: string | undefined) =>
    fakeIo({
      ask: async (question) => {
        asked.push(question);
        return answer;
      },
    });
  for (const answer of ["yes", "", "plant", undefined])
    await expect(program(["factory-reset", ...where], answering(answer))).rejects.toMatchObject({
      code: "RESTORE_UNCONFIRMED",
    });
  expect(await program(["factory-reset", ...where], answering("plant-7"))).toBe(0);
  expect(asked[0]).toContain("plant-7");
  expect(existsSync(join(folder, "data/records.db"))).toBe(false);
});

test("a backup brings back the configuration only where it is asked to, and keeps the files that were there", async () => {
  const io = fakeIo();
  expect(await program(["backup", archive, "--json", ...where], io)).toBe(0);
  expect(JSON.parse(io.printed())).toMatchObject({ gateway: "plant-7", config: "holdfast.yaml", hasKeys: true });
  const config = join(folder, "holdfast.yaml");
  writeFileSync(config, "schemaVersion: 1\ndevice: { name: other }\n");
  expect(await program(["restore", archive, "--yes", ...where], fakeIo())).toBe(0);
  expect(readFileSync(config, "utf8")).toContain("other");
  expect(await program(["restore", archive, "--yes", "--config-too", ...where], fakeIo())).toBe(0);
  expect(readFileSync(config, "utf8")).toContain("plant-7");
  const kept = readdirSync(folder).filter((name) => name.startsWith("holdfast.yaml.before-restore-"));
  expect(kept.map((name) => readFileSync(join(folder, name), "utf8"))).toEqual([expect.stringContaining("other")]);
});

test("a reset that is to put a configuration back, and knows of none, deletes nothing", async () => {
  const data = join(folder, "data");
  await expect(program(["factory-reset", "--yes", "--config-too", "--data", data], fakeIo())).rejects.toMatchObject({
    hint: "Name the gateway's file with --config.",
  });
  expect(existsSync(join(data, "records.db"))).toBe(true);
});
