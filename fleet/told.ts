import type { Query } from "./database.ts";
import type { Told } from "./incoming.ts";

/** Keeps what records tell of others: starts, drops, clocks. What they tell of positions goes with those. */
export async function storeTold(query: Query, ids: ReadonlyMap<string, number>, told: readonly Told[]): Promise<void> {
  for (const one of told) {
    const id = ids.get(one.gateway);
    switch (one.kind) {
      case "epochStart":
        await query.query(
          `INSERT INTO epoch (gateway, epoch, ordinal, previous, boot_id, fingerprint, started_ms, reason)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
          [
            ...[id, Buffer.from(one.epoch, "hex"), one.ordinal],
            ...[one.previous === null ? null : Buffer.from(one.previous, "hex"), one.bootId, one.fingerprint],
            ...[one.startedMs, one.reason],
          ],
        );
        break;
      case "drop":
        await query.query(
          `INSERT INTO drop_range (gateway, epoch, stream, from_seq, to_seq, reason, at_ms)
           VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
          [id, Buffer.from(one.epoch, "hex"), one.stream, one.from, one.to, one.reason, one.atMs],
        );
        break;
      case "clockSync":
        await query.query(
          `INSERT INTO clock_sync (gateway, boot_id, boot_ms, wall_ms, source, uncertainty_ms)
           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
          [id, one.bootId, one.bootMs, one.wallMs, one.source, one.uncertaintyMs],
        );
        break;
      case "head":
        break;
    }
  }
}
