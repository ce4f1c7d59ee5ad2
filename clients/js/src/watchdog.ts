/** Whether somebody is still at the other end. Sans-I/O: moments in, what to do out. */

/** How a connection shows that it lives: it answers pings, it says something by itself, or each request sees to it. */
export type Pulse = "pings" | "speaks" | "requests";

/** How long the answer to a ping may take that is sent because the machine has just woken up. */
export const PROBE_MS = 5000;

export class Watchdog {
  private pulse: Pulse = "requests";
  private heartbeatMs = Number.POSITIVE_INFINITY;
  private heardAt = 0;
  private pingedAt: number | undefined;
  private probeUntil: number | undefined;

  /** A connection is there; `heartbeatMs` is that of the `welcome`. */
  start(now: number, pulse: Pulse, heartbeatMs: number): void {
    this.pulse = pulse;
    this.heartbeatMs = pulse === "requests" ? Number.POSITIVE_INFINITY : heartbeatMs;
    this.heard(now);
  }

  stop(): void {
    this.heartbeatMs = Number.POSITIVE_INFINITY;
    this.probeUntil = undefined;
  }

  heard(now: number): void {
    this.heardAt = now;
    this.pingedAt = undefined;
    this.probeUntil = undefined;
  }

  /** Do not wait for the heartbeat. True where a ping is to be sent. */
  probe(now: number): boolean {
    if (this.pulse === "pings" && this.probeUntil === undefined) {
      this.probeUntil = now + PROBE_MS;
      this.pingedAt = now;
    }
    return true;
  }

  /** Who has heard nothing for two heartbeats takes the connection for lost; after one it is asked for a sign. */
  check(now: number): "ping" | "lost" | undefined {
    if (now >= this.lostAt) return "lost";
    if (this.pulse !== "pings" || this.pingedAt !== undefined || now < this.heardAt + this.heartbeatMs)
      return undefined;
    this.pingedAt = now;
    return "ping";
  }

  get wakeAt(): number | undefined {
    const pingAt =
      this.pulse === "pings" && this.pingedAt === undefined
        ? this.heardAt + this.heartbeatMs
        : Number.POSITIVE_INFINITY;
    const moment = Math.min(pingAt, this.lostAt);
    return Number.isFinite(moment) ? moment : undefined;
  }

  private get lostAt(): number {
    return Math.min(this.heardAt + 2 * this.heartbeatMs, this.probeUntil ?? Number.POSITIVE_INFINITY);
  }
}
