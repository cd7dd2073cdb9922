/** Who watches `holdfast events --follow`: nobody, most of the time, and then nothing is made for them. */
export interface Sighting {
  readonly at: number;
  readonly agent?: string;
  readonly topic?: string;
  readonly key?: string;
  readonly outcome: string;
  readonly reason?: string;
  readonly eventId?: string;
  readonly eventTime?: number;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Fans sightings out to the commands that follow; `active` is the hot path's question. */
export class Watch {
  readonly #followers = new Set<(sighting: Sighting) => void>();
  active = false;

  see(sighting: Sighting): void {
    for (const follow of this.#followers) follow(sighting);
  }

  /** Follows until `signal` aborts. */
  follow(onSighting: (sighting: Sighting) => void, signal: AbortSignal): Promise<void> {
    this.#followers.add(onSighting);
    this.active = true;
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#followers.delete(onSighting);
        this.active = this.#followers.size > 0;
        resolve();
      };
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave, { once: true });
    });
  }
}
