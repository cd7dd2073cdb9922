import type { Inference } from "../models/inference.ts";
import type { Acting } from "./act/acting.ts";
import type { Bus } from "./bus/bus.ts";
import type { Clock } from "./clock.ts";
import type { Prepared } from "./generation.ts";
import type { Latch } from "./latch.ts";
import { sumLedgers } from "./ledger.ts";
import type { Modes } from "./modes.ts";
import type { Runtime } from "./runtime.ts";
import type { Status } from "./status.ts";
import type { Store } from "./store/store.ts";
import { version } from "./version.ts";

export interface Running {
  readonly clock: Pick<Clock, "wallMs" | "trust">;
  readonly latch: Latch;
  readonly acting: Pick<Acting, "figures">;
  readonly modes: Modes;
  readonly prepared: Prepared;
  readonly store: Store;
  readonly inference: Inference;
  readonly runtime: Runtime;
  readonly bus: Bus;
  readonly isReady: boolean;
  readonly uptimeMs: number;
  readonly usesLastGood: boolean;
  readonly returned: string | undefined;
}

/** The present state of the daemon, asked of its parts in one turn of the loop: the ledgers fit each other. */
export function statusOf(running: Running): Status {
  const { clock, latch, modes, acting, prepared, store, inference, runtime, bus } = running;
  const agents = runtime.status();
  const ledgers = runtime.ledgers();
  const since = ledgers.map((ledger) => ledger.sinceStart());
  const size = store.size();
  const state = store.state();
  const { kind, address, connected, reason, heldAcknowledgements } = bus.status();
  return {
    version: version(),
    mode: modes.effective(),
    latched: latch.isLatched(),
    latch: latchLine(latch),
    ready: running.isReady,
    uptimeSeconds: Math.round(running.uptimeMs / 100) / 10,
    epoch: store.epoch().ordinal,
    generation: { id: prepared.digest.slice(0, 16), origin: prepared.origin },
    ...sumLedgers(ledgers),
    gaps: store.gaps().map((gap) => ({
      from: new Date(gap.from).toISOString(),
      to: new Date(gap.to).toISOString(),
      reason: gap.reason,
    })),
    sinceStart: {
      deliveries: since.reduce((sum, one) => sum + one.deliveries, 0),
      passes: since.reduce((sum, one) => sum + one.passes, 0),
    },
    actions: acting.figures(),
    agents,
    models: inference.models().map((model) => ({
      name: model.name,
      version: model.version,
      digest: model.digest,
      state: model.state,
      ...(model.reason === undefined ? {} : { reason: model.reason }),
      strikes: model.strikes,
      lane: model.lane,
    })),
    store: {
      path: size.path,
      bytes: size.bytes,
      walBytes: size.walBytes,
      records: size.lastN,
      state: state.condition === "open" ? "ok" : state.condition,
      ...(state.reason === undefined ? {} : { reason: state.reason }),
    },
    hosts: inference.hosts().map((host) => ({
      pid: host.pid ?? null,
      lane: host.lane,
      restarts: host.restarts,
      residentBytes: host.residentBytes,
      state: host.state,
    })),
    bus: { kind, address, connected, ...(reason === undefined ? {} : { reason }), heldAcknowledgements },
    lastGood: running.usesLastGood,
    returned: running.returned ?? null,
    clock: { wall: new Date(clock.wallMs()).toISOString(), trust: clock.trust() },
  };
}

function latchLine(latch: Latch): Status["latch"] {
  const { latched, why, by, at, nonce, reason } = latch.state();
  if (!latched) return null;
  return { why, by, since: new Date(at).toISOString(), nonce, ...(reason === undefined ? {} : { reason }) };
}
