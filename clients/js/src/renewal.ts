/**
 * When to say hello again with a fresh token: a little before the server takes the one there is no more.
 *
 * Sans-I/O: moments are milliseconds of one steady clock, chance is the caller's.
 */

/** At most so long before the end, and at most a quarter of the time that is left. */
export const EARLY_MS = 60_000;
/** What is left when another try would come too late. */
const TOO_LATE_MS = 500;

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
    this.at = leftMs === undefined ? undefined : Math.floor(this.endsAt - earlyMs);
  }

  /** A try came to nothing: there is another while there is time. What comes after the end is a connection anew. */
  again(now: number): void {
    const leftMs = this.endsAt - now;
    this.at = leftMs > TOO_LATE_MS ? Math.floor(now + Math.max(TOO_LATE_MS / 2, leftMs / 4)) : undefined;
  }

  stop(): void {
    this.at = undefined;
  }
}
