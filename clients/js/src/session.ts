/**
 * One session of the protocol, level 1, without a connection: frames in, frames and effects out.
 *
 * It has no clock, no timer, no chance and no socket: every moment comes as an argument, in milliseconds of one steady
 * clock, and `serverNow` in milliseconds of the server's. It never throws at what a server says.
 */

import type {
  Ack,
  ChatResponseDelta,
  ClientEvent,
  ClientFrame,
  ErrorFrame,
  Hello,
  Preferences,
  ServerFrame,
  ServerPing,
  ServerPong,
  Welcome,
  Withdrawn,
} from "./frames.js";
import type { Delivery, Effect } from "./effects.js";
import { Inbox, type Handed } from "./inbox.js";
import { EventQueue, type Queued } from "./queue.js";
import type { Shelf } from "./storage.js";

/** Events on their way without an acknowledgement: half of what a server takes before it stops to read. */
export const IN_FLIGHT_MAX = 128;
/** Bytes of a frame, where no `welcome` has said otherwise. */
export const FRAME_BYTES_MAX = 65_536;
/** Answers whose pieces are shown; a server answers 32 at a time. The oldest beyond it is shown when it is whole. */
const PARTIAL_MAX = 64;
/** Withdrawals that are remembered; a server says the latest 32 again. */
const WITHDRAWN_MAX = 100;
/** Milliseconds between an outcome and a ping whose pong says that it has been taken in. */
const OUTCOME_SETTLES_MS = 1000;
const RETRY_MIN_MS = 100;
/** What the protocol's `Moment` takes for epoch milliseconds. */
const AT_MIN_MS = 100_000_000_001;
const AT_MAX_MS = 221_845_391_999_999;

/** What `hello` says of the client. */
export interface Introduction {
  readonly clientId: string;
  readonly user?: string;
  readonly timezone?: string;
  readonly traits?: Readonly<Record<string, unknown>>;
  readonly capabilities?: readonly string[];
}

export class Session {
  readonly inbox: Inbox;
  readonly queue: EventQueue;
  frameBytesMax = FRAME_BYTES_MAX;

  /** Who the server says the user is. */
  private user: string | undefined;
  private isWelcome = false;
  private owesReceived = false;
  private pausedUntil = 0;
  private sends = 0;
  private pingSentAs = 0;
  private pingSentAt = 0;
  private said = 0;
  private hellos = 0;
  /** Messages of which the application knows that they are withdrawn: a server says it again with each resume. */
  private readonly withdrawn = new Set<string>();
  /** What has come of answers, by chat message. Only of those asked on this connection, for others may have holes. */
  private readonly partial = new Map<string, string>();

  /** `idPrefix` must be another one in every process: ids of events are never used twice. */
  constructor(
    private readonly who: Introduction,
    private readonly idPrefix: string,
    shelf: Shelf,
    limits: { readonly eventsMax?: number; readonly charactersMax?: number } = {},
  ) {
    this.queue = new EventQueue(shelf, limits.eventsMax, limits.charactersMax);
    this.inbox = new Inbox(shelf);
    this.user = who.user;
  }

  // What the application does.

  /** Take an event in, to be sent when it can be. `atMs`: epoch milliseconds at which it happened. */
  tell(frame: ClientEvent, atMs: number): { readonly id: string; readonly effects: Effect[] } {
    this.said += 1;
    const id = `${this.idPrefix}-${this.said.toString(36)}`;
    // A clock that is out of the protocol's bounds says nothing, and must not cost the event.
    const stamp = atMs >= AT_MIN_MS && atMs <= AT_MAX_MS ? { at: atMs } : {};
    const named: ClientEvent = frame.type === "outcome" ? { ...stamp, ...frame } : { ...stamp, ...frame, id };
    const size = new TextEncoder().encode(JSON.stringify(named)).length;
    if (size > this.frameBytesMax) {
      const message = `expected an event of at most ${this.frameBytesMax} bytes, got ${size}`;
      return { id, effects: [settled(id, { status: "refused", error: { code: "too_big", message } })] };
    }
    return { id, effects: this.queue.add(id, named, this.user).map((gone) => settled(gone, { status: "dropped" })) };
  }

  /** The application is done with a message that it was handed. */
  handled(id: string, serverNow: number): Effect[] {
    this.inbox.handled(id);
    const effects = this.handNext(serverNow);
    this.advance();
    this.inbox.save();
    return effects;
  }

  // What the connection does.

  /** The first frame of a connection. From here on numbers are those of the new one, and nothing is sent before `welcome`. */
  hello(token?: string): Hello {
    this.lost();
    this.hellos += 1;
    const { session, received } = this.inbox;
    return {
      type: "hello",
      protocol: 1,
      ...this.who,
      attempt: { run: this.idPrefix, number: this.hellos },
      ...(token === undefined ? {} : { token }),
      ...(session === undefined ? {} : { resume: { session, received } }),
    };
  }

  /** There is no connection: what was on its way may have arrived or not. */
  lost(): void {
    this.isWelcome = false;
    this.owesReceived = false;
    this.queue.unsendAll();
    this.partial.clear();
  }

  /** What a connection says. `isFormer`: it has been given up for another, on which a `hello` was said. */
  receive(frame: ServerFrame, now: number, serverNow: number, isFormer = false): Effect[] {
    if (typeof frame["seq"] === "number") {
      // It will come again over the connection that there is now, with its number there.
      return isFormer || !this.isWelcome ? [] : this.receiveNumbered(frame, frame["seq"], serverNow);
    }
    if (!isControl(frame)) return this.hear(frame, serverNow);
    switch (frame.type) {
      case "welcome":
        return isFormer ? [] : this.welcomed(frame);
      case "error":
        return this.failed(frame, now, isFormer);
      case "pong":
        return isFormer ? [] : this.ponged();
      default:
        return this.take(frame);
    }
  }

  /** A request with these frames was answered: of outcomes, which nobody acknowledges, that says as much. */
  taken(frames: readonly ClientFrame[]): Effect[] {
    const told = new Set<unknown>(frames);
    const done = [...this.queue.values()].filter(
      (entry) => entry.sentAs > 0 && told.has(entry.frame) && isOutcome(entry),
    );
    return done.map((entry) => this.settle(entry.id, { status: "acknowledged" }));
  }

  /** Frames that can go now, each once per connection. */
  framesToSend(now: number): ClientFrame[] {
    if (!this.isWelcome) return [];
    const frames: ClientFrame[] = [];
    if (this.owesReceived) {
      this.owesReceived = false;
      frames.push({ type: "received", seq: this.inbox.received });
    }
    if (now < this.pausedUntil) return frames;
    let inFlight = 0;
    for (const entry of this.queue.values()) {
      if (inFlight >= IN_FLIGHT_MAX) break;
      inFlight += 1;
      if (entry.sentAs > 0) continue;
      this.sends += 1;
      entry.sentAs = this.sends;
      entry.sentAt = now;
      if (entry.frame.type === "chat_message" && !entry.wasSent) this.expectPieces(entry.id);
      entry.wasSent = true;
      frames.push(entry.frame);
    }
    return frames;
  }

  /** Is somebody there? Its `pong` also says that outcomes before it have been taken in. */
  ping(now: number): ClientFrame {
    this.sends += 1;
    this.pingSentAs = this.sends;
    this.pingSentAt = now;
    return { type: "ping" };
  }

  /** When `framesToSend` would give what it keeps back now; undefined for never by itself. */
  get wakeAt(): number | undefined {
    if (!this.isWelcome || this.pausedUntil === 0) return undefined;
    let inFlight = 0;
    for (const entry of this.queue.values()) {
      // What comes behind these waits for acknowledgements.
      if (inFlight >= IN_FLIGHT_MAX) return undefined;
      inFlight += 1;
      if (entry.sentAs === 0) return this.pausedUntil;
    }
    return undefined;
  }

  /** Let go of what waits. What was sent already may have arrived. */
  drop(isUnwanted: (event: ClientEvent) => boolean): Effect[] {
    const entries = [...this.queue.values()].filter(({ frame }) => isUnwanted(frame));
    return entries.map((entry) => this.settle(entry.id, { status: "dropped" }));
  }

  /** The user is to be forgotten, here as well. A connection that there is goes on. */
  forget(): Effect[] {
    const effects = [...this.queue.values()].map((entry) => settled(entry.id, { status: "dropped" }));
    this.partial.clear();
    this.queue.clear();
    this.inbox.clear(this.isWelcome);
    this.withdrawn.clear();
    return effects;
  }

  // Inside.

  private welcomed(welcome: Welcome): Effect[] {
    const bytes = welcome.limits["frameBytes"];
    if (typeof bytes === "number" && bytes > 0) this.frameBytesMax = bytes;
    this.isWelcome = true;
    this.pausedUntil = 0;
    this.inbox.begin(welcome.session, welcome.resumed);
    this.inbox.save();
    this.user = welcome.user;
    // Somebody else may have signed in on this device: what another did is not told in their name.
    const others = [...this.queue.values()].filter(({ user }) => user !== undefined && user !== welcome.user);
    return [{ kind: "welcome", welcome }, ...others.map((entry) => this.settle(entry.id, { status: "dropped" }))];
  }

  private receiveNumbered(frame: ServerFrame, seq: number, serverNow: number): Effect[] {
    const id = isHanded(frame) ? frame.id : undefined;
    if (this.inbox.isFull) return [{ kind: "unusable", why: "full" }];
    if (!this.inbox.count(seq, id)) return [{ kind: "unusable", why: "gap" }];
    const effects = isControl(frame) ? this.take(frame) : this.hear(frame, serverNow);
    this.advance();
    return effects;
  }

  private take(frame: ControlFrame): Effect[] {
    switch (frame.type) {
      case "ack":
        return frame.ids.flatMap((id) => this.acknowledged(String(id)));
      case "withdrawn":
        this.inbox.withdraw(frame.id);
        return this.isNewlyWithdrawn(frame.id) ? [{ kind: "withdrawn", frame }] : [];
      case "preferences":
        return [{ kind: "preferences", frame }];
      case "chat_response_delta":
        return this.piece(frame);
      default:
        return [];
    }
  }

  private isNewlyWithdrawn(id: string): boolean {
    if (this.withdrawn.has(id)) return false;
    this.withdrawn.add(id);
    for (const oldest of this.withdrawn) if (this.withdrawn.size > WITHDRAWN_MAX) this.withdrawn.delete(oldest);
    return true;
  }

  private hear(frame: ServerFrame, serverNow: number): Effect[] {
    if (!isHanded(frame)) return [];
    if (frame.type === "chat_response") this.partial.delete(String(frame["to"]));
    this.inbox.add(frame);
    return this.handNext(serverNow);
  }

  private handNext(serverNow: number): Effect[] {
    const message = this.inbox.next(serverNow);
    return message === undefined ? [] : [{ kind: "hand", message }];
  }

  private advance(): void {
    if (!this.isWelcome || !this.inbox.advance()) return;
    this.owesReceived = true;
    this.inbox.save();
  }

  private expectPieces(to: string): void {
    this.partial.set(to, "");
    for (const oldest of this.partial.keys()) if (this.partial.size > PARTIAL_MAX) this.partial.delete(oldest);
  }

  private piece(frame: ChatResponseDelta): Effect[] {
    const to = String(frame.to);
    const before = this.partial.get(to);
    if (before === undefined) return [];
    const text = before + frame.delta;
    this.partial.set(to, text);
    return [{ kind: "delta", delta: { to, delta: frame.delta, text } }];
  }

  private acknowledged(id: string): Effect[] {
    const entry = this.queue.get(id);
    if (entry === undefined) return [];
    const before = entry.sentAs > 0 ? this.outcomesBefore(entry.sentAs) : [];
    return [...before, entry].map((each) => this.settle(each.id, { status: "acknowledged" }));
  }

  private ponged(): Effect[] {
    const before = this.outcomesBefore(this.pingSentAs).filter(
      (entry) => entry.sentAt + OUTCOME_SETTLES_MS <= this.pingSentAt,
    );
    return before.map((entry) => this.settle(entry.id, { status: "acknowledged" }));
  }

  /** Frames are taken in the order in which they come; so what came after these vouches for them. */
  private outcomesBefore(sentAs: number): Queued[] {
    return [...this.queue.values()].filter((entry) => entry.sentAs > 0 && entry.sentAs < sentAs && isOutcome(entry));
  }

  private failed(error: ErrorFrame, now: number, isFormer: boolean): Effect[] {
    const frameId = error.frameId === undefined ? undefined : String(error.frameId);
    if (frameId !== undefined && (error.code === "responder_failed" || error.code === "too_many_chats")) {
      this.partial.delete(frameId);
      return [{ kind: "chat failed", failure: { to: frameId, code: error.code, message: error.message } }];
    }
    if (isFormer) return [];
    if (!this.isWelcome) return [{ kind: "hello refused", error }];
    const entry = frameId === undefined ? undefined : this.inFlight(frameId);
    if (error.code === "unauthorized" || error.code === "no_session") return [{ kind: "unusable", why: error.code }];
    if (error.retryAfter !== undefined) {
      this.pausedUntil = Math.max(this.pausedUntil, now + Math.max(RETRY_MIN_MS, error.retryAfter * 1000));
      if (entry !== undefined) entry.sentAs = 0;
      return [];
    }
    return entry === undefined ? [{ kind: "problem", error }] : [this.settle(entry.id, { status: "refused", error })];
  }

  /** What an error means by `frameId`: an event, or the message of an outcome. */
  private inFlight(frameId: string): Queued | undefined {
    const event = this.queue.get(frameId);
    if (event !== undefined) return event;
    for (const entry of this.queue.values()) {
      if (entry.sentAs > 0 && isOutcome(entry) && entry.frame["id"] === frameId) return entry;
    }
    return undefined;
  }

  private settle(id: string, delivery: Delivery): Effect {
    this.queue.remove(id);
    return settled(id, delivery);
  }
}

function settled(id: string, delivery: Delivery): Effect {
  return { kind: "settled", id, delivery };
}

function isOutcome(entry: Queued): boolean {
  return entry.frame.type === "outcome";
}

/** Frames with a meaning of their own; all others are for the application to show. */
type ControlFrame = Welcome | Ack | Withdrawn | Preferences | ErrorFrame | ChatResponseDelta | ServerPing | ServerPong;
const CONTROL: ReadonlySet<string> = new Set<ControlFrame["type"]>([
  "welcome",
  "ack",
  "withdrawn",
  "preferences",
  "error",
  "chat_response_delta",
  "ping",
  "pong",
]);

function isControl(frame: ServerFrame): frame is ControlFrame {
  return CONTROL.has(frame.type);
}

/** A message of whatever type or an answer: by its id it is known. */
function isHanded(frame: ServerFrame): frame is Handed {
  return !isControl(frame) && typeof frame["id"] === "string";
}
