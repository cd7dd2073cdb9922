import { createHash } from "node:crypto";
import {
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { digestOf, readArchive, writeArchive } from "../../../daemon/backup/archive.ts";
import { BackupError } from "../../../daemon/backup/errors.ts";
import type { Manifest } from "../../../daemon/backup/manifest.ts";
import { temporaryDirectory } from "../store/support.ts";
import { type Entry, forgeArchive, never, someManifest } from "./site.ts";

const known = { records: 3, control: 2 };
const digest = (text: string) => createHash("sha256").update(text).digest("hex");
const files = [
  { path: "data/records.db", content: "the records".repeat(999) },
  { path: "data/control.db", content: "the control" },
];
const manifest = someManifest({
  files: files.map(({ path, content }) => ({ path, bytes: content.length, sha256: digest(content) })),
}) as unknown as Manifest;
const first: Entry = { path: "manifest.json", content: JSON.stringify(manifest) };

async function read(archive: string, over: Partial<Parameters<typeof readArchive>[2]> = {}): Promise<string> {
  const into = join(temporaryDirectory(), "into");
  mkdirSync(into);
  const options = { known, stop: never, accept: () => undefined, progress: () => undefined, ...over };
  await readArchive(openSync(archive, "r"), into, options);
  return into;
}

const forged = (entries: readonly Entry[], end?: Buffer): string =>
  forgeArchive(join(temporaryDirectory(), "x.tar.gz"), entries, end);

async function code(archive: string): Promise<unknown> {
  return await read(archive).then(
    () => "none",
    (error: unknown) => (error instanceof BackupError ? error.code : error),
  );
}

describe("an archive", () => {
  test("gives back what was written into it, for the owner alone", async () => {
    const folder = temporaryDirectory();
    const to = join(folder, "a.tar.gz");
    await writeArchive(
      to,
      manifest,
      files.map(({ path, content }) => ({ path, from: Buffer.from(content) })),
      {
        stop: never,
        progress: () => undefined,
      },
    );
    expect(statSync(to).mode & 0o777).toBe(0o600);
    const into = await read(to);
    for (const { path, content } of files) expect(readFileSync(join(into, path), "utf8")).toBe(content);
  });

  test("is not finished where a file changed meanwhile", async () => {
    const folder = temporaryDirectory();
    const sources = files.map(({ path, content }) => ({ path, from: Buffer.from(content.replace("r", "R")) }));
    const writing = writeArchive(join(folder, "a"), manifest, sources, { stop: never, progress: () => undefined });
    await expect(writing).rejects.toMatchObject({ code: "BACKUP_CHANGED" });
  });

  test("takes no file through a link that lies in its place", async () => {
    const folder = temporaryDirectory();
    writeFileSync(join(folder, "secret"), "x");
    symlinkSync(join(folder, "secret"), join(folder, "link"));
    await expect(digestOf(join(folder, "link"))).rejects.toMatchObject({ code: "ELOOP" });
  });

  test("is forged in these tests as it would be read", async () => {
    expect(await code(forged([first, ...files]))).toBe("none");
  });
});

describe("an archive that somebody made", () => {
  test.each<[string, (header: Buffer) => void]>([
    ["a symbolic link", (header) => void header.write("2", 156)],
    ["a hard link", (header) => void header.write("1", 156)],
    ["a device", (header) => void header.write("3", 156)],
    ["a folder", (header) => void header.write("5", 156)],
    ["a name that goes on elsewhere", (header) => void header.write("L", 156)],
    ["another name", (header) => void header.write("data/../../../etc/passwd\0", 0)],
    ["an absolute name", (header) => void header.write("/etc/passwd\0", 0)],
    ["a prefix", (header) => void header.write("../../..", 345)],
    ["a size in another form", (header) => void header.fill(0xff, 124, 136)],
    ["no size", (header) => void header.fill(0, 124, 136)],
    ["another size", (header) => void header.write("77777777777\0", 124)],
  ])("with %s is refused, and writes nothing outside", async (_, forge) => {
    const [records, control] = files;
    const archive = forged([first, { ...(records as Entry), forge }, control as Entry]);
    expect(await code(archive)).toMatch(/^BACKUP_(?:FOREIGN|DAMAGED)$/);
  });

  test.each<[string, () => readonly Entry[]]>([
    ["no manifest", () => files],
    ["a manifest that is not the first", () => [...files, first]],
    ["a file more", () => [first, ...files, { path: "data/latch", content: "x" }]],
    ["a file less", () => [first, files[0] as Entry]],
    ["the files in another order", () => [first, ...[...files].reverse()]],
    [
      "a file with other bytes",
      () => [first, { path: "data/records.db", content: "THE RECORDS".repeat(999) }, files[1] as Entry],
    ],
    ["a manifest that is too large", () => [{ ...first, bytes: 8 * 1024 ** 2 }, ...files]],
  ])("with %s is refused", async (_, entries) => {
    expect(await code(forged(entries()))).toMatch(/^BACKUP_(?:FOREIGN|DAMAGED)$/);
  });

  test("with more behind its end is refused", async () => {
    expect(await code(forged([first, ...files], Buffer.alloc(2048, 1)))).toMatch(/^BACKUP_/);
    expect(await code(forged([first, ...files], Buffer.alloc(2048)))).toBe("BACKUP_DAMAGED");
  });

  test("that ends too early is refused, wherever it was cut", async () => {
    const whole = forged([first, ...files]);
    const { size } = statSync(whole);
    for (let length = 0; length < size; length += Math.ceil(size / 40)) {
      const cut = forged([first, ...files]);
      truncateSync(cut, length);
      expect(await code(cut), `at ${length} of ${size}`).toMatch(/^BACKUP_/);
    }
    const tar = gunzipSync(readFileSync(whole));
    writeFileSync(whole, gzipSync(tar.subarray(0, tar.length - 600)));
    expect(await code(whole)).toBe("BACKUP_DAMAGED");
  });

  test("that is something else is refused", async () => {
    const path = join(temporaryDirectory(), "x");
    for (const content of [Buffer.alloc(0), Buffer.from("hello"), gzipSync("hello"), gzipSync(Buffer.alloc(4096, 7))]) {
      writeFileSync(path, content);
      expect(await code(path)).toMatch(/^BACKUP_/);
    }
  });

  test("is not taken apart where its size is not accepted", async () => {
    const into = temporaryDirectory();
    const accept = (): never => {
      throw new BackupError("BACKUP_NO_ROOM", {});
    };
    const options = { known, stop: never, progress: () => undefined, accept };
    const reading = readArchive(openSync(forged([first, ...files]), "r"), into, options);
    await expect(reading).rejects.toMatchObject({ code: "BACKUP_NO_ROOM" });
    expect(readdirSync(into)).toEqual([]);
  });
});
