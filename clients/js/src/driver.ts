/**
 * Brings session, connector, watchdog and links together: the one place with a timer. It knows no application.
 *
 * Of links there are at most three: the one there is, one that is being tried, and one that was left for a better and
 * may still have something to say.
 */

import { endingOfError, type Ending } from "./closing.js";
import { Connector, type Command } from "./connector.js";
import type { ConnectionState, Transport } from "./states.js";
import type { Effect } from "./effects.js";
import type { ServerFrame, Welcome } from "./frames.js";
import type { Addresses, Link, LinkEvents, OpenLink } from "./link.js";
import type { Hint, Platform } from "./platform.js";
import type { Session } from "./session.js";
import { Watchdog } from "./watchdog.js";

/** How long a link that was left may still say something. */
const FORMER_MS = 5000;
/** What no timer can wait for longer (HTML standard, section 8.7): it would come at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export interface DriverOptions {
  readonly session: Session;
  readonly platform: Platform;
  readonly addresses: Addresses;
  readonly transports: readonly Transport[];
  readonly openLink: OpenLink;
  readonly token: (() => string | Promise<string>) | undefined;
  readonly canRefreshToken: boolean;
  readonly onState: (state: ConnectionState) => void;
  readonly onEffect: (effect: Effect) => void;
}

interface Held {
  readonly transport: Transport;
  token: string | undefined;
  link: Link | undefined;
}

export class Driver {
  private readonly connector: Connector;
  private readonly watchdog = new Watchdog();
  private current: Held | undefined;
  private attempt: Held | undefined;
  private former: Held | undefined;
  /** The link on which `hello` was said last: numbers are its own. */
  private speaking: Held | undefined;
  private cancelTimer: () => void = () => undefined;
  private cancelFormer: () => void = () => undefined;
  private serverOffsetMs = 0;

  constructor(private readonly options: DriverOptions) {
    const { transports, canRefreshToken, platform } = options;
    this.connector = new Connector({ transports, canRefreshToken, random: platform.random });
  }

  start(): void {
    this.connector.start(this.now());
    this.pump();
  }

  stop(isLeaving: boolean): void {
    if (isLeaving) this.release(this.current, true);
    this.connector.stop(this.now());
    this.pump();
    this.dropFormer();
  }

  hint(hint: Hint): void {
    const now = this.now();
    if (hint === "visible") this.connector.visible(now);
    else this.connector.hint(now, hint);
    // After a sleep a connection may look well and be dead.
    if (hint !== "offline" && this.current !== undefined && this.watchdog.probe(now)) this.sendPing(now);
    this.pump();
  }

  /** Milliseconds of the server's clock, as far as it is known. */
  serverNow(): number {
    return this.options.platform.wallNow() + this.serverOffsetMs;
  }

  /** There may be something to send. */
  pump(): void {
    for (
      let command = this.connector.commands.shift();
      command !== undefined;
      command = this.connector.commands.shift()
    ) {
      this.obey(command);
    }
    const { session } = this.options;
    if (this.current?.link !== undefined && this.speaking === this.current) {
      const frames = session.framesToSend(this.now());
      if (frames.length > 0) this.current.link.send(frames);
    }
    this.setTimer();
  }

  // What the connector wants.

  private obey(command: Command): void {
    switch (command.kind) {
      case "open":
        void this.open(command.transport);
        return;
      case "abandon":
        this.release(this.attempt, false);
        this.attempt = undefined;
        return;
      case "drop":
        this.release(this.current, false);
        this.current = undefined;
        this.watchdog.stop();
        return;
      case "state":
        this.options.onState(this.withWallTime(command.state));
    }
  }

  private async open(transport: Transport): Promise<void> {
    const held: Held = { transport, token: undefined, link: undefined };
    this.attempt = held;
    const { addresses, platform, token, openLink } = this.options;
    try {
      if (token !== undefined) held.token = await token();
      // A connection beside the one there is, by the same way, is for a fresh token alone.
      if (transport === this.current?.transport && held.token === this.current.token)
        throw new Error("expected a fresh token, got the one that is about to end");
    } catch (cause) {
      this.ended(held, { why: "no_token", code: 0, detail: String(cause) });
      return;
    }
    if (this.attempt !== held) return;
    try {
      held.link = openLink(transport, addresses, held.token, platform, this.eventsOf(held));
    } catch (cause) {
      this.ended(held, { why: "broken", code: 0, detail: String(cause) });
    }
  }

  private eventsOf(held: Held): LinkEvents {
    return {
      ready: () => this.sayHello(held),
      frame: (frame) => this.frame(held, frame),
      heard: () => {
        if (held === this.current) this.watchdog.heard(this.now());
      },
      taken: (frames) => {
        if (held === this.speaking) this.run(this.options.session.taken(frames), held);
        this.pump();
      },
      ended: (ending) => this.ended(held, ending),
    };
  }

  // What links tell.

  private sayHello(held: Held): void {
    if (held !== this.attempt) return;
    this.current?.link?.freeze();
    this.speaking = held;
    this.connector.saidHello();
    // Over HTTP the token is in a header.
    held.link?.hello(this.options.session.hello(held.transport === "websocket" ? held.token : undefined));
  }

  private frame(held: Held, frame: ServerFrame): void {
    const { session } = this.options;
    const isFormer = held !== this.speaking;
    if (frame.type === "welcome" && !isFormer) {
      this.serverOffsetMs = Number(frame["serverTime"]) * 1000 - this.options.platform.wallNow();
    }
    if (frame.type === "ping" && !isFormer) held.link?.send([{ type: "pong" }]);
    this.run(session.receive(frame, this.now(), this.serverNow(), isFormer), held);
    this.pump();
  }

  private ended(held: Held, ending: Ending): void {
    const now = this.now();
    if (held === this.speaking || ending.why === "erased") this.options.session.lost();
    if (ending.why === "erased") this.run(this.options.session.forget(), held);
    if (held === this.former) {
      this.dropFormer();
    } else if (held === this.attempt) {
      this.attempt = undefined;
      this.connector.failed(now, ending);
    } else if (held === this.current) {
      this.current = undefined;
      this.watchdog.stop();
      this.connector.lost(now, ending);
    }
    this.pump();
  }

  private run(effects: readonly Effect[], held: Held): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "welcome":
          this.welcomed(held, effect.welcome);
          break;
        case "hello refused":
          this.giveUp(held, endingOfError(effect.error));
          break;
        case "unusable":
          this.giveUp(held, { why: whyOf(effect.why), code: 0, detail: effect.why });
          break;
        default:
          break;
      }
      this.options.onEffect(effect);
    }
  }

  private welcomed(held: Held, welcome: Welcome): void {
    if (held === this.attempt) {
      this.attempt = undefined;
      this.leave(this.current);
      this.current = held;
      const { tokenExpiresAt, serverTime } = welcome;
      const leftMs = tokenExpiresAt === undefined ? undefined : Math.max(0, (tokenExpiresAt - serverTime) * 1000);
      this.connector.welcomed(this.now(), leftMs);
    }
    this.watchdog.start(this.now(), held.link?.pulse ?? "requests", welcome.heartbeat * 1000);
  }

  private giveUp(held: Held, ending: Ending): void {
    held.link?.close(false);
    this.ended(held, ending);
  }

  /** It has been left for a better one: what was on its way may still come. */
  private leave(held: Held | undefined): void {
    this.dropFormer();
    if (held === undefined) return;
    this.former = held;
    this.cancelFormer = this.options.platform.setTimer(() => this.dropFormer(), FORMER_MS);
  }

  private dropFormer(): void {
    this.cancelFormer();
    this.former?.link?.close(false);
    this.former = undefined;
  }

  private release(held: Held | undefined, isLeaving: boolean): void {
    if (held === undefined) return;
    held.link?.close(isLeaving);
    if (held === this.speaking) this.options.session.lost();
  }

  // Time.

  private setTimer(): void {
    this.cancelTimer();
    const moments = [this.connector.wakeAt, this.watchdog.wakeAt, this.options.session.wakeAt].filter(
      (at) => at !== undefined,
    );
    if (moments.length === 0) return;
    // A timer may be a little early by the other clock; then it is set once more.
    const ms = Math.min(TIMER_MAX_MS, Math.max(0, Math.ceil(Math.min(...moments) - this.now())));
    this.cancelTimer = this.options.platform.setTimer(() => this.wake(), ms);
  }

  private wake(): void {
    const now = this.now();
    this.connector.tick(now);
    const what = this.current === undefined ? undefined : this.watchdog.check(now);
    if (what === "ping") this.sendPing(now);
    if (what === "lost" && this.current !== undefined) {
      this.giveUp(this.current, { why: "silent", code: 0, detail: "nothing was heard for two heartbeats" });
    }
    this.pump();
  }

  private sendPing(now: number): void {
    if (this.current === this.speaking) this.current?.link?.send([this.options.session.ping(now)]);
  }

  private now(): number {
    return this.options.platform.now();
  }

  private withWallTime(state: ConnectionState): ConnectionState {
    if (state.state !== "reconnecting" || state.retryAt === undefined) return state;
    return { ...state, retryAt: Math.round(this.options.platform.wallNow() + state.retryAt - this.now()) };
  }
}

function whyOf(why: "gap" | "full" | "unauthorized" | "no_session"): Ending["why"] {
  return why === "gap" || why === "full" ? "broken" : why;
}
