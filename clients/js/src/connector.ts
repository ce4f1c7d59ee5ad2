/**
 * When to connect, by which way, and when to leave one for a better one. It decides; it opens nothing.
 *
 * Sans-I/O as the session is: what happened goes in with its time, what is to be done comes out of `commands`, and
 * `wakeAt` says when to call `tick`. Moments are milliseconds of one steady clock; chance is the caller's.
 */

import { fullJitter } from "./backoff.js";
import { isFinal, type Ending } from "./closing.js";
import { Renewal } from "./renewal.js";
import { offlineFor, type ConnectionState, type Transport } from "./states.js";

/** For a connection to be had: TCP, TLS, `hello` and `welcome`. */
export const ATTEMPT_MS = 10_000;
/** A connection that has lasted so long was no accident; then back-off begins anew. */
export const STABLE_MS = 10_000;
/** Times in a row that a way may break at once before the next one is taken. */
const SHAKY_MAX = 3;
/** Between tries to get back to a better way. */
const UPGRADE_BASE_MS = 15_000;
const UPGRADE_CAP_MS = 300_000;
/** So many people come back on line in the same moment; they are spread over so much. */
const ONLINE_SPREAD_MS = 1000;
/** Within so long after a try was given up, whoever replaces us may well be that try. */
const GHOST_MS = 15_000;
const GHOSTS_MAX = 3;
/** Times that a fresh token is fetched before the server's word is taken for it. */
const UNAUTHORIZED_MAX = 2;

export type Command =
  /** Try this way. `isUpgrade`: beside the connection there is. */
  | { readonly kind: "open"; readonly transport: Transport; readonly isUpgrade: boolean }
  /** Let go of the try that is under way. */
  | { readonly kind: "abandon" }
  /** Let go of the connection there is. */
  | { readonly kind: "drop" }
  | { readonly kind: "state"; readonly state: ConnectionState };

type Phase = "idle" | "waiting" | "opening" | "up";

export interface ConnectorOptions {
  readonly transports: readonly Transport[];
  /** Whether another token may be had after one was refused. */
  readonly canRefreshToken: boolean;
  /** At least 0 and below 1, as `Math.random`. */
  readonly random: () => number;
}

export class Connector {
  readonly commands: Command[] = [];
  wakeAt: number | undefined;

  private phase: Phase = "idle";
  private rung = 0; // of the try that is under way, or of the connection there is
  private firstRung = 0; // where the next cycle of tries begins
  private failures = 0; // cycles in a row in which nothing worked
  private shaky = 0;
  private upAt = 0;
  private deadline: number | undefined;
  private dueAt: number | undefined;
  private upgradeAt: number | undefined;
  private upgradeRung: number | undefined; // of the try beside the connection there is; its own for a fresh token
  private upgradeFailures = 0;
  private isHelloSaid = false; // on the try that is under way
  private unauthorized = 0;
  private ghosts = 0;
  private abandonedAt = Number.NEGATIVE_INFINITY;
  private isOffLine = false;
  private isStarting = true;
  private ending: Ending | undefined;
  private retryAfterMs = 0;
  private toldUp: Transport | undefined; // what was told last, if it was a connection
  private readonly renewal: Renewal;

  constructor(private readonly options: ConnectorOptions) {
    this.renewal = new Renewal(options.random);
    if (options.transports.length === 0) throw new Error("expected at least one transport, got none");
  }

  // What happened.

  start(now: number): void {
    if (this.phase !== "idle") return;
    this.isStarting = true;
    this.firstRung = this.failures = this.shaky = this.unauthorized = this.ghosts = this.upgradeFailures = 0;
    this.ending = undefined;
    this.abandonedAt = now; // of the page before this one, a request may still be on its way
    this.begin(now);
    this.settle();
  }

  /** The application wants no connection any more. */
  stop(now: number): void {
    this.halt(now, { state: "offline", reason: "disconnected" });
    this.settle();
  }

  /** The try that is under way has its `welcome`. `tokenLeftMs`: how long its token holds, where it ends. */
  welcomed(now: number, tokenLeftMs?: number): void {
    const isRenewal = this.upgradeRung === this.rung;
    if (this.upgradeRung !== undefined) {
      this.rung = this.upgradeRung;
      this.upgradeRung = undefined;
      this.abandonedAt = now; // a request of the way before may still be on its way
    }
    this.phase = "up";
    this.deadline = undefined;
    this.isStarting = false;
    this.unauthorized = 0;
    this.firstRung = 0;
    this.renewal.begin(now, this.options.canRefreshToken ? tokenLeftMs : undefined);
    if (!isRenewal) {
      this.upAt = now;
      this.planUpgrade(now);
    }
    this.tellUp();
    this.settle();
  }

  /** The try that is under way has got through: `hello` was said, and the server may move the session to it. */
  saidHello(): void {
    this.isHelloSaid = true;
  }

  /** The try that is under way came to nothing. */
  failed(now: number, ending: Ending): void {
    if (this.isHelloSaid) this.abandonedAt = now;
    if (this.upgradeRung !== undefined) this.upgradeFailed(now, ending);
    else if (this.phase === "opening") this.attemptFailed(now, ending);
    this.settle();
  }

  /** The connection there was is lost. */
  lost(now: number, ending: Ending): void {
    if (this.phase !== "up") return;
    this.phase = "waiting";
    const wasStable = now - this.upAt >= STABLE_MS;
    if (wasStable) this.failures = this.ghosts = 0;
    this.ending = ending;
    this.upgradeAt = undefined;
    this.renewal.stop();
    // What replaces it while another try has said hello, is that try.
    const isOwnDoing = ending.why === "replaced" && this.upgradeRung !== undefined && this.isHelloSaid;
    const isEnd = !isOwnDoing && this.isEnd(now, ending);
    this.abandonedAt = now;
    if (isEnd) {
      this.halt(now, offlineFor(ending));
    } else if (this.upgradeRung !== undefined) {
      // The try beside it is now all there is.
      this.phase = "opening";
      this.rung = this.upgradeRung;
      this.upgradeRung = undefined;
      if (!isOwnDoing) this.tell({ state: "reconnecting", reason: "lost", ending });
    } else {
      this.countShaky(wasStable, ending);
      this.wait(now, ending);
    }
    this.settle();
  }

  /** What the platform says of the network. A hint: a server on this machine is there without any. */
  hint(now: number, what: "online" | "offline"): void {
    const wasOffLine = this.isOffLine;
    this.isOffLine = what === "offline";
    if (this.isOffLine) {
      if (this.phase === "waiting") this.tellWaiting();
    } else if (wasOffLine) {
      this.failures = 0;
      this.hurry(now, Math.floor(this.options.random() * ONLINE_SPREAD_MS));
    }
    this.settle();
  }

  /** Somebody looks at the page: what is due some time may as well be tried now. */
  visible(now: number): void {
    this.hurry(now, 0);
    this.settle();
  }

  tick(now: number): void {
    if (this.deadline !== undefined && now >= this.deadline) {
      this.deadline = undefined;
      this.commands.push({ kind: "abandon" });
      this.failed(now, { why: "silent", code: 0, detail: `no welcome within ${ATTEMPT_MS} ms` });
    }
    if (this.phase === "waiting" && this.dueAt !== undefined && now >= this.dueAt) this.begin(now);
    if (this.phase === "up" && this.upgradeRung === undefined) {
      if (this.renewal.at !== undefined && now >= this.renewal.at) this.open(now, this.rung, true);
      else if (this.upgradeAt !== undefined && now >= this.upgradeAt) this.upgrade(now, 0);
    }
    this.settle();
  }

  // Inside.

  private begin(now: number): void {
    this.dueAt = undefined;
    this.retryAfterMs = 0;
    this.phase = "opening";
    if (!this.isOffLine) this.tell(this.reconnecting());
    this.open(now, Math.min(this.firstRung, this.options.transports.length - 1), false);
  }

  private open(now: number, rung: number, isUpgrade: boolean): void {
    if (isUpgrade) this.upgradeRung = rung;
    else this.rung = rung;
    this.isHelloSaid = false;
    this.deadline = now + ATTEMPT_MS;
    this.commands.push({ kind: "open", transport: this.transport(rung), isUpgrade });
  }

  private attemptFailed(now: number, ending: Ending): void {
    this.deadline = undefined;
    this.ending = ending;
    if (this.isEnd(now, ending)) {
      this.phase = "waiting"; // nothing is left to be let go of
      this.halt(now, offlineFor(ending));
      return;
    }
    const next = this.nextRung(ending);
    if (next !== undefined) {
      this.open(now, next, false);
      return;
    }
    this.failures += 1;
    this.firstRung = 0;
    this.wait(now, ending);
  }

  /** The way to try at once after this one. None where the server has said to wait, or would say the same there. */
  private nextRung(ending: Ending): number | undefined {
    if (ending.retryAfterMs !== undefined || ending.why === "unauthorized" || ending.why === "no_token")
      return undefined;
    if (ending.isUnreachable === true && this.transport(this.rung) !== "websocket") return undefined;
    return this.rung + 1 < this.options.transports.length ? this.rung + 1 : undefined;
  }

  private wait(now: number, ending: Ending): void {
    this.phase = "waiting";
    this.retryAfterMs = Math.max(this.retryAfterMs, ending.retryAfterMs ?? 0);
    this.dueAt = now + this.retryAfterMs + fullJitter(this.failures, this.options.random());
    this.tellWaiting();
  }

  private countShaky(wasStable: boolean, ending: Ending): void {
    if (wasStable) {
      this.shaky = 0;
      if (this.rung === 0) this.upgradeFailures = 0;
      return;
    }
    this.failures += 1;
    if (ending.retryAfterMs !== undefined) return;
    this.shaky += 1;
    if (this.shaky < SHAKY_MAX || this.rung + 1 >= this.options.transports.length) return;
    this.shaky = 0;
    this.firstRung = this.rung + 1;
    this.upgradeFailures += 1;
  }

  private planUpgrade(now: number): void {
    this.upgradeAt = undefined;
    if (this.rung === 0) return;
    const most = Math.min(UPGRADE_CAP_MS, UPGRADE_BASE_MS * 2 ** Math.min(this.upgradeFailures, 10));
    // Half of it certain, so that a fallback is not left by chance before it has been of any use.
    this.upgradeAt = now + Math.floor((most * (1 + this.options.random())) / 2);
  }

  private upgrade(now: number, rung: number): void {
    this.upgradeAt = undefined;
    this.open(now, rung, true);
  }

  private upgradeFailed(now: number, ending: Ending): void {
    const rung = this.upgradeRung ?? 0;
    this.upgradeRung = undefined;
    this.deadline = undefined;
    if (!this.isHelloSaid && rung + 1 < this.rung) {
      this.upgrade(now, rung + 1);
      return;
    }
    if (rung === this.rung) this.renewal.again(now);
    else this.upgradeFailures += 1;
    if (!this.isHelloSaid) {
      if (rung !== this.rung) this.planUpgrade(now);
      return;
    }
    // The session may be at that end now, so nothing can be relied on at this one.
    this.commands.push({ kind: "drop" });
    this.renewal.stop();
    this.phase = "waiting";
    this.firstRung = this.rung;
    this.ending = ending;
    if (this.isEnd(now, ending)) this.halt(now, offlineFor(ending));
    else this.wait(now, ending);
  }

  /** Whether there is no way back by itself. */
  private isEnd(now: number, ending: Ending): boolean {
    if (ending.why === "unauthorized") {
      this.unauthorized += 1;
      return !this.options.canRefreshToken || this.unauthorized > UNAUTHORIZED_MAX;
    }
    if (ending.why === "replaced" && now - this.abandonedAt < GHOST_MS && this.ghosts < GHOSTS_MAX) {
      this.ghosts += 1;
      return false;
    }
    return isFinal(ending.why);
  }

  private halt(now: number, state: ConnectionState): void {
    if (this.phase === "opening" || this.upgradeRung !== undefined) {
      this.commands.push({ kind: "abandon" });
      this.abandonedAt = now;
    }
    if (this.phase === "up") this.commands.push({ kind: "drop" });
    this.phase = "idle";
    this.deadline = this.dueAt = this.upgradeAt = this.upgradeRung = undefined;
    this.renewal.stop();
    this.tell(state);
  }

  private hurry(now: number, inMs: number): void {
    // What the server has asked for goes before what the user hopes for.
    if (this.phase === "waiting" && this.retryAfterMs === 0) {
      this.dueAt = Math.min(this.dueAt ?? now, now + inMs);
      this.tellWaiting();
    } else if (this.phase === "up" && this.upgradeAt !== undefined && now - this.upAt >= STABLE_MS) {
      this.upgradeAt = Math.min(this.upgradeAt, now + inMs);
    }
  }

  private settle(): void {
    // While a try is under way beside the connection, no other is.
    const later = this.upgradeRung === undefined ? [this.upgradeAt, this.renewal.at] : [];
    const moments = [this.deadline, this.dueAt, ...later].filter((moment) => moment !== undefined);
    this.wakeAt = moments.length > 0 ? Math.min(...moments) : undefined;
  }

  private transport(rung: number): Transport {
    const transport = this.options.transports[rung];
    if (transport === undefined) throw new Error(`there is no transport ${rung}`);
    return transport;
  }

  private tellUp(): void {
    const transport = this.transport(this.rung);
    if (transport === this.toldUp) return;
    if (transport === "websocket") this.tell({ state: "connected", transport });
    else this.tell({ state: "fallback", transport, ...(this.ending === undefined ? {} : { ending: this.ending }) });
    this.toldUp = transport;
  }

  private tellWaiting(): void {
    const ending = this.ending === undefined ? {} : { ending: this.ending };
    if (this.isOffLine) this.tell({ state: "offline", reason: "no_network", ...ending });
    else this.tell({ ...this.reconnecting(), ...(this.dueAt === undefined ? {} : { retryAt: this.dueAt }) });
  }

  private reconnecting(): ConnectionState & { state: "reconnecting" } {
    const ending = this.ending === undefined ? {} : { ending: this.ending };
    return { state: "reconnecting", reason: this.isStarting ? "starting" : "lost", ...ending };
  }

  private tell(state: ConnectionState): void {
    this.toldUp = undefined;
    this.commands.push({ kind: "state", state });
  }
}
