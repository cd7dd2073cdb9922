import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { generationDigest } from "../../config/release.ts";

const file = fc.record({
  path: fc.string(),
  sha256: fc.string({ unit: fc.constantFrom("0", "a", "f"), minLength: 64, maxLength: 64 }),
});
const files = fc.uniqueArray(file, { selector: (one) => one.path });

describe("a generation's digest", () => {
  it("is SHA-256 over path and digest of each file", () => {
    const expected = createHash("sha256").update("a.yaml\x0001\nb.yaml\x0002\n").digest("hex");
    expect(
      generationDigest([
        { path: "b.yaml", sha256: "02" },
        { path: "a.yaml", sha256: "01" },
      ]),
    ).toBe(expected);
  });

  it("does not depend on the order of the files", () => {
    fc.assert(
      fc.property(files, (list) => void expect(generationDigest([...list].reverse())).toBe(generationDigest(list))),
    );
  });

  it("changes with any byte of any file, and with its name", () => {
    fc.assert(
      fc.property(
        files.filter((list) => list.length > 0),
        (list) => {
          const [first, ...rest] = list as [{ path: string; sha256: string }];
          const other = first.sha256.startsWith("0") ? "a" : "0";
          expect(generationDigest([{ ...first, sha256: other + first.sha256.slice(1) }, ...rest])).not.toBe(
            generationDigest(list),
          );
          expect(generationDigest([{ ...first, path: `${first.path}~` }, ...rest])).not.toBe(generationDigest(list));
        },
      ),
    );
  });
});
