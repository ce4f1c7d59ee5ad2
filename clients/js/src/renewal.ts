/**
 * When to say hello again with a fresh token: a little before the server takes the one there is no more.
 *
 * Sans-I/O: moments are milliseconds of one steady clock, chance is the caller's.
 */

/** At most so long before the end, and at most a quarter of the time that is left. */
export const EARLY_MS = 60_000;
/** Between tries, however soon tokens end: who has none that last is cut off and comes back, further and further apart. */
export const APART_MS = 1000;

export class Renewal {
  /** When to try; undefined for not at all. */
  at: number | undefined;
  private endsAt = 0;

  constructor(private readonly random: () => number) {}

  /** A connection is there whose token holds for so long; undefined where it does not end. */
  begin(now: number, leftMs: number | undefined): void {
    this.endsAt = now + (leftMs ?? 0);
    // Of all who came at once, each has a moment of its own.
    const earlyMs = (Math.min(EARLY_MS, (leftMs ?? 0) / 4) * (1 + this.random())) / 2;
    this.plan(now, this.endsAt - earlyMs);
  }

  /** A try came to nothing: there is another while there is time. What comes after the end is a connection anew. */
  again(now: number): void {
    this.plan(now, now + (this.endsAt - now) / 4);
  }

  stop(): void {
    this.at = undefined;
  }

  private plan(now: number, wanted: number): void {
    const at = Math.floor(Math.max(wanted, now + APART_MS));
    this.at = at < this.endsAt ? at : undefined;
  }
}
