/** Time as the reporters see it, so that a test can let it pass. */

export interface Clock {
  /** Milliseconds of one steady clock. */
  now(): number;
  /** Call it once in so many milliseconds; what is returned calls it off. */
  after(ms: number, call: () => void): () => void;
}

export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    timer.unref(); // nobody's editor stays open for this
    return () => clearTimeout(timer);
  },
};
