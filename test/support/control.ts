import type { ControlChange, ControlState } from "../../daemon/store/messages.ts";

/** control.db as a part sees it, in memory; changes are made in order, each in a turn of its own. */
export class FakeControl {
  readonly modes: Record<string, string> = {};
  readonly meta: Record<string, string> = {};
  pointer: string | undefined;
  readonly changes: ControlChange[] = [];
  /** Lets changes fail, as on a full disk. */
  isFull = false;
  /** Held back until `letGo`, as on a slow card. */
  isSlow = false;
  #waiting: (() => void)[] = [];

  async state(): Promise<ControlState> {
    return { generations: [], pointer: this.pointer, modes: { ...this.modes }, meta: { ...this.meta }, inbox: [] };
  }

  async change(change: ControlChange): Promise<ControlState> {
    if (this.isSlow) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else await Promise.resolve();
    if (this.isFull) throw Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
    this.changes.push(change);
    if (change.kind === "mode") this.modes[change.scope] = change.mode;
    if (change.kind === "meta") this.meta[change.name] = change.value;
    return await this.state();
  }

  letGo(): void {
    this.isSlow = false;
    for (const go of this.#waiting.splice(0)) go();
  }
}
