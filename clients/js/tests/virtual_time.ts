/** Time that only passes when a test says so, and chance that comes again with its seed. */

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
}

export class VirtualTime {
  now = 0;
  private order = 0;
  private timers: Timer[] = [];

  /** Call it in so many milliseconds; of those due at once, the one asked for first comes first. */
  after(ms: number, call: () => void): () => void {
    this.order += 1;
    const timer = { at: this.now + ms, order: this.order, call };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  }

  /** Let so much time pass. Promises that are ready are let run in between. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    await settle();
    for (let next = this.next(until); next !== undefined; next = this.next(until)) {
      this.now = next.at;
      next.call();
      await settle();
    }
    this.now = until;
  }

  private next(until: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.timers) {
      if (
        timer.at <= until &&
        (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
      )
        first = timer;
    }
    this.timers = this.timers.filter((timer) => timer !== first);
    return first;
  }
}

/** Let promises run that wait for nothing else. A listener of messages and what follows from it take some turns. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await Promise.resolve();
}

/** mulberry32 by Tommy Ettinger, in the public domain: 32 bits of state are enough for schedules. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A storage that forgets with the test. */
export class MemoryStorage {
  readonly values = new Map<string, string>();

  getItem(key: string): string | null {
    return this.values.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.values.set(key, value);
  }

  removeItem(key: string): void {
    this.values.delete(key);
  }
}
