import type Sqlite from "better-sqlite3";
import { recordKinds } from "../../../sync/kinds.ts";
import type { StreamHead } from "../../../sync/records.ts";
import { signedParts, signedText } from "../../../sync/signing.ts";
import { rechain } from "./rechain.ts";
import { type Edit, hashOf, pick, type Random, rewrite, rowsOf, stranger, unsigned } from "./tools.ts";

const HEADS = [recordKinds.chainHead, recordKinds.epochClose, recordKinds.epochStart];

interface Head {
  readonly n: number;
  readonly body: string;
}

function headOf(database: Sqlite.Database, random: Random): Head {
  return pick(
    rowsOf(database).filter(({ body }) => HEADS.some((kind) => body.includes(`"kind":"${kindOf(kind)}"`))),
    random,
  );
}

function kindOf(code: number): string {
  return Object.entries(recordKinds).find(([, one]) => one === code)?.[0] ?? "";
}

/** Another signature for the same words. */
function resigned(body: string, random: Random): string {
  const signature = signedParts(body)?.signature ?? "";
  const at = Math.floor(random() * 84);
  const other = signature[at] === "A" ? "B" : "A";
  return pick(
    [
      JSON.stringify(unsigned(body)),
      signedText(unsigned(body), stranger),
      body.replace(signature, signature.slice(0, at) + other + signature.slice(at + 1)),
      // The last letter before "==" carries four bits that mean nothing.
      body.replace(signature, `${signature.slice(0, 85)}${signature[85] === "w" ? "x" : "w"}==`),
      body.replace(signature, ""),
      body.replace(stranger.key, "0000000000000000").replace(/"key":"[0-9a-f]{16}"/, `"key":"${stranger.key}"`),
    ],
    random,
  );
}

const signature: Edit = {
  name: "a signature changed, with its row's hash or without",
  apply(database, random) {
    const { n, body } = headOf(database, random);
    const other = resigned(body, random);
    if (random() < 0.5) rewrite(database, n, other);
    else database.prepare("UPDATE record SET body = ? WHERE n = ?").run(other, n);
  },
};

const words: Edit = {
  name: "a chain head that says something else, with its hash",
  apply(database, random) {
    const { n, body } = headOf(database, random);
    const said = JSON.parse(body) as {
      heads?: StreamHead[];
      previousHeads?: StreamHead[];

      at?: number;
    };
    const heads = said.heads ?? said.previousHeads ?? [];
    const head = heads.length === 0 ? undefined : (pick(heads, random) as { seq: number; chain: string });
    if (head === undefined || random() < 0.2) said.at = (said.at ?? 0) + 1;
    else if (random() < 0.5) head.seq = Math.max(1, head.seq + (random() < 0.5 ? 1 : -1));
    else head.chain = head.chain.replace(/^./, (first) => (first === "0" ? "1" : "0"));
    rewrite(database, n, JSON.stringify(said));
  },
};

const rewritten: Edit = {
  name: "a row rewritten with its hash",
  apply(database, random) {
    const { n, body } = pick(rowsOf(database), random);
    rewrite(database, n, body.replace(/\}$/, `,"forged":${Math.floor(random() * 100)}}`));
  },
};

/** As much as can be done without the key: a row is changed, and all that tells of it is computed again. */
const consistent: Edit = {
  name: "a row rewritten, and all chains after it computed again",
  apply(database, random) {
    const row = pick(rowsOf(database), random);
    const kind = random();
    if (kind < 0.5) rewrite(database, row.n, row.body.replace(/\}$/, ',"forged":1}'));
    else if (kind < 0.8) {
      const { epoch, stream, seq } = row;
      database.exec(`DELETE FROM record WHERE n = ${row.n};
        UPDATE record SET seq = -seq + 1 WHERE epoch = ${epoch} AND stream = ${stream} AND seq > ${seq};
        UPDATE record SET seq = -seq WHERE seq < 0;
        UPDATE record SET n = -n + 1 WHERE n > ${row.n}; UPDATE record SET n = -n WHERE n < 0`);
    } else database.exec(`DELETE FROM record WHERE n >= ${row.n}; DELETE FROM epoch WHERE ordinal > ${row.epoch}`);
    rechain(database, pick(["keep", "strip", "strip", "stranger"] as const, random), random() < 0.5 ? row.epoch : 1);
  },
};

const dropped: Edit = {
  name: "rows deleted under a forged drop record",
  apply(database, random) {
    const { epoch, stream, seq } = pick(
      rowsOf(database).filter((row) => row.stream > 0),
      random,
    );
    const first = database.prepare("SELECT min(seq) FROM record WHERE epoch = ? AND stream = ?").pluck();
    const from = first.get(epoch, stream) as number;
    database.exec(`DELETE FROM record WHERE epoch = ${epoch} AND stream = ${stream} AND seq <= ${seq}`);
    const old = rowsOf(database).findLast(({ body }) => body.includes('"kind":"drop"'));
    if (old === undefined) return;
    const said = { ...(JSON.parse(old.body) as object), epoch, stream, from, to: seq, rows: seq - from + 1 };
    const body = JSON.stringify({ ...said, chainBefore: null, chainAfter: null });
    if (random() < 0.5) {
      rewrite(database, old.n, body);
      return;
    }
    const last = rowsOf(database).at(-1);
    database
      .prepare(
        `INSERT INTO record SELECT ${(last?.n ?? 0) + 1}, epoch, 0, (SELECT max(seq) + 1 FROM record AS o WHERE o.epoch = ${last?.epoch} AND o.stream = 0),
         id, 7, 0, wallMs, ?, ? FROM record WHERE n = ${old.n}`,
      )
      .run(body, hashOf(body));
  },
};

/** What is done by somebody who knows how the log is made, and does not have the key. */
export const forgeries: readonly Edit[] = [signature, words, rewritten, consistent, dropped];
