/** How long to wait before the next try. Pure: chance comes as an argument. */

/** What the first wait is below, in milliseconds. */
export const BASE_MS = 500;
/** What no wait of our own choice is above. */
export const CAP_MS = 30_000;

/**
 * A wait with "full jitter": anything from 0 to what exponential back-off would wait. Marc Brooker, "Exponential
 * Backoff And Jitter", AWS Architecture Blog, 2015: of the ways tried there, the fewest calls and nearly the least time.
 *
 * `failures` is how many tries have failed before, `random` at least 0 and below 1.
 */
export function fullJitter(failures: number, random: number, baseMs: number = BASE_MS, capMs: number = CAP_MS): number {
  // Beyond 2^30 the cap has long been reached, and the power would become Infinity.
  return Math.floor(random * Math.min(capMs, baseMs * 2 ** Math.min(failures, 30)));
}
