/** What a way to the server can do, and what it tells. The ways themselves are in files of their own. */

import type { Ending } from "./closing.js";
import type { Transport } from "./states.js";
import type { ClientFrame, Hello, ServerFrame } from "./frames.js";
import type { Platform } from "./platform.js";
import type { Pulse } from "./watchdog.js";

/** Told by a link. After `ended`, or after the link was closed from this side, nothing more is told. */
export interface LinkEvents {
  /** `hello` can be said. */
  ready(): void;
  frame(frame: ServerFrame): void;
  /** Something came, be it no frame. */
  heard(): void;
  /** The request with these frames was answered, after what the answer says of them. */
  taken(frames: readonly ClientFrame[]): void;
  ended(ending: Ending): void;
}

/** One connection, from its opening to its end. */
export interface Link {
  readonly pulse: Pulse;
  /** The first frame; the `welcome` comes as a frame when the whole way works. */
  hello(frame: Hello): void;
  send(frames: readonly ClientFrame[]): void;
  /** `hello` was said elsewhere: tell what still comes, and ask for nothing more, for that would call the session back. */
  freeze(): void;
  /** Let go of it. `isLeaving`: the user does not come back, so that the session may end at once. */
  close(isLeaving: boolean): void;
}

/** Where the server is. */
export interface Addresses {
  /** Such as `ws://127.0.0.1:7778`. */
  readonly webSocketUrl: string | undefined;
  /** Such as `http://127.0.0.1:7777`. */
  readonly httpUrl: string | undefined;
}

export type OpenLink = (
  transport: Transport,
  addresses: Addresses,
  token: string | undefined,
  platform: Platform,
  events: LinkEvents,
) => Link;
