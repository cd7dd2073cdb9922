import type { Query } from "../../../fleet/database.ts";
import { RangeSet } from "../../../sync/range-set.ts";
import type { Extent, LogFile } from "./log-file.ts";

/** What was a gateway's: its file as it is, and each that an older one replaced. */
export interface Files {
  readonly now: LogFile;
  readonly replaced: readonly LogFile[];
  /** What copies that ran beside it wrote after they were copied; thrown away with them. */
  readonly clones: readonly LogFile[];
}

export interface Counts {
  committed: number;
  stored: number;
  /** Never stored, and a stored drop record tells of it. */
  dropped: number;
  /** Neither stored nor told as dropped, but in the file, or a drop record in the file tells of it. */
  inLog: number;
  /** The same, of a file that an older one replaced: a person did that, and nobody can send it. */
  destroyed: number;
  /** In the log, and not with the fleet, which was told that it was dropped: by a copy, or by a file that was replaced. */
  shadowed: number;
  /** What copies committed, and what of it was stored. */
  ofClones: number;
  ofClonesStored: number;
}

export interface Balance extends Counts {
  /** Committed, and neither stored nor in the log nor dropped nor destroyed. */
  readonly lost: string[];
  /** A gateway believes that the fleet has it, and the fleet does not, nor knows that it was dropped. */
  readonly forgotten: string[];
  /** Stored with other bytes than the log has. */
  readonly changed: string[];
  /** Stored, and never committed. */
  readonly invented: string[];
}

interface FleetHas {
  readonly stored: readonly { readonly seq: number; readonly hash: string }[];
  readonly gone: readonly { readonly from: number; readonly to: number }[];
}

/**
 * `committed − stored − inLog − dropped = ∅`: what a gateway ever had, as its own files showed it, against the fleet's
 * tables. Seqs of a stream have no holes, so what was committed is 1 to the highest that was ever seen.
 */
export async function balanceOf(query: Query, gateway: string, files: Files): Promise<Balance> {
  const all = [files.now, ...files.replaced];
  const names = new Set(all.flatMap(({ streams }) => [...streams.keys()]));
  const untold = await untoldDrops(query, gateway, files.replaced);
  const balance: Balance = {
    ...{ committed: 0, stored: 0, dropped: 0, inLog: 0, destroyed: 0 },
    ...{ shadowed: 0, ofClones: 0, ofClonesStored: 0 },
    ...{ lost: [], forgotten: [], changed: [], invented: [] },
  };
  for (const name of names) {
    const has = await fleetHas(query, gateway, name);
    const inLog = files.now.streams.get(name);
    const older = files.replaced.flatMap(({ streams }) => streams.get(name) ?? []);
    const hi = Math.max(0, ...all.map(({ streams }) => streams.get(name)?.hi ?? 0));
    const drops = all.flatMap((one) => one.drops).filter(({ of }) => of === name);
    compare(`${gateway}/${name}`, balance, { has, hi, inLog, older, drops });
    const left = new RangeSet([[1, hi]]);
    const take = (count: keyof Counts, ranges: Iterable<{ readonly from: number; readonly to: number }>): void => {
      const before = left.size;
      for (const { from, to } of ranges) left.remove(from, to);
      balance[count] += before - left.size;
    };
    balance.committed += hi;
    take("stored", each(has.stored.map(({ seq }) => seq)));
    take("dropped", has.gone);
    take("inLog", each(inLog?.rows.keys() ?? []));
    take(
      "inLog",
      files.now.drops.filter(({ of }) => of === name),
    );
    for (const { rows } of older) take("destroyed", each(rows.keys()));
    take(
      "destroyed",
      untold.filter(({ of }) => of === name),
    );
    for (const [from, to] of left.list()) balance.lost.push(`${gateway}/${name}/${from}-${to}`);
    balance.shadowed += shadowed(has, inLog);
  }
  for (const { streams, drops } of files.clones)
    for (const [name, extent] of streams) {
      const has = await fleetHas(query, gateway, name);
      compare(`${gateway}/${name}`, balance, {
        has,
        hi: extent.hi,
        inLog: undefined,
        older: [extent],
        drops: drops.filter(({ of }) => of === name),
      });
      balance.ofClones += extent.hi;
      balance.ofClonesStored += has.stored.length;
    }
  return balance;
}

function shadowed({ stored, gone }: FleetHas, inLog: Extent | undefined): number {
  const told = new RangeSet();
  for (const { from, to } of gone) told.add(from, to);
  for (const { seq } of stored) told.remove(seq, seq);
  return [...(inLog?.rows.keys() ?? [])].filter((seq) => told.has(seq)).length;
}

interface Compared {
  readonly has: FleetHas;
  readonly hi: number;
  readonly inLog: Extent | undefined;
  readonly older: readonly Extent[];
  /** Of which a file of the gateway tells. */
  readonly drops: readonly { readonly from: number; readonly to: number }[];
}

function compare(place: string, balance: Balance, { has, hi, inLog, older, drops }: Compared): void {
  for (const { seq, hash } of has.stored) {
    if (seq > hi) balance.invented.push(`${place}/${seq}`);
    const kept = inLog?.rows.get(seq) ?? older.find((one) => one.rows.has(seq))?.rows.get(seq);
    if (kept !== undefined && kept !== hash) balance.changed.push(`${place}/${seq}`);
  }
  for (const { acknowledged } of [...(inLog === undefined ? [] : [inLog]), ...older]) {
    const believed = new RangeSet(acknowledged);
    for (const { seq } of has.stored) believed.remove(seq, seq);
    // Of what went without being sent, the gateway knows that there is nothing to send.
    for (const { from, to } of [...has.gone, ...drops]) believed.remove(from, to);
    for (const [from, to] of believed.list()) balance.forgotten.push(`${place}/${from}-${to}`);
  }
}

async function fleetHas(query: Query, gateway: string, name: string): Promise<FleetHas> {
  const [epoch = "", stream] = name.split("/");
  const stored = await query.query<{ seq: number; hash: string }>(
    `SELECT seq, encode(r.hash, 'hex') AS hash FROM record r JOIN gateway g ON g.id = r.gateway
     WHERE g.name = $1 AND r.epoch = decode($2, 'hex') AND r.stream = $3`,
    [gateway, epoch, Number(stream)],
  );
  const gone = await query.query<{ from: number; to: number }>(
    `SELECT from_seq AS "from", to_seq AS "to" FROM drop_range d JOIN gateway g ON g.id = d.gateway
     WHERE g.name = $1 AND d.epoch = decode($2, 'hex') AND d.stream = $3`,
    [gateway, epoch, Number(stream)],
  );
  return { stored, gone };
}

/** Drops of files that were replaced, whose own record never came up: it was destroyed with the file. */
async function untoldDrops(query: Query, gateway: string, replaced: readonly LogFile[]) {
  const rows = await query.query<{ place: string }>(
    `SELECT encode(r.epoch, 'hex') || '/' || r.stream || '/' || r.seq AS place
     FROM record r JOIN gateway g ON g.id = r.gateway WHERE g.name = $1 AND r.kind = 'drop'`,
    [gateway],
  );
  const told = new Set(rows.map(({ place }) => place));
  return replaced.flatMap(({ drops }) => drops).filter(({ place }) => !told.has(place));
}

function* each(seqs: Iterable<number>): Iterable<{ from: number; to: number }> {
  for (const seq of seqs) yield { from: seq, to: seq };
}
