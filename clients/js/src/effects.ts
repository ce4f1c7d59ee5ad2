/** What comes out of a session for its caller to do, and the words for it. Types alone. */

import type { ErrorFrame, Preferences, Welcome, Withdrawn } from "./frames.js";
import type { Handed } from "./inbox.js";

/** What became of an event. */
export type Delivery =
  /** It is on the server's disk (of an outcome, which nobody acknowledges: the server has taken it). */
  | { readonly status: "acknowledged" }
  /** It never will be taken; `error` says why. */
  | { readonly status: "refused"; readonly error: Pick<ErrorFrame, "code" | "message"> }
  /** The queue was full and others were worth more; or it was another user's, or nobody is to know of it any more. */
  | { readonly status: "dropped" }
  /** The client was stopped before; where there is storage it is sent the next time. */
  | { readonly status: "kept" };

/** A piece of an answer; `text` is all that has come so far. */
export interface ChatDelta {
  readonly to: string;
  readonly delta: string;
  readonly text: string;
}

/** A chat message that was taken in and could not be answered. */
export interface ChatFailure {
  readonly to: string;
  readonly code: "responder_failed" | "too_many_chats";
  /** Of `responder_failed`, for the user to read. */
  readonly message: string;
}

/** What the caller has to do. */
export type Effect =
  | { readonly kind: "welcome"; readonly welcome: Welcome }
  /** Give it to the application and call `handled` when that is done. Nothing else is handed out until then. */
  | { readonly kind: "hand"; readonly message: Handed }
  | { readonly kind: "withdrawn"; readonly frame: Withdrawn }
  | { readonly kind: "preferences"; readonly frame: Preferences }
  | { readonly kind: "delta"; readonly delta: ChatDelta }
  | { readonly kind: "chat failed"; readonly failure: ChatFailure }
  | { readonly kind: "settled"; readonly id: string; readonly delivery: Delivery }
  /** The `hello` was not taken. */
  | { readonly kind: "hello refused"; readonly error: ErrorFrame }
  /** Give the connection up and come back: what was said on it cannot be relied on. */
  | { readonly kind: "unusable"; readonly why: "gap" | "full" | "unauthorized" | "no_session" }
  /** An error about nothing in particular. */
  | { readonly kind: "problem"; readonly error: ErrorFrame };
