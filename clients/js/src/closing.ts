/** Why a connection ended or did not come to be, and what the protocol says to do about it. Pure. */

import type { ErrorFrame } from "./frames.js";
import { asRecord } from "./storage.js";

/** Why there is no connection, in one word. */
export type Why =
  /** It broke, or nobody is there. */
  | "broken"
  /** Nobody answered in time, or nothing was heard for two heartbeats. */
  | "silent"
  /** The server is going away, to come back. */
  | "going_away"
  /** The server has more to do than it can. */
  | "overloaded"
  | "rate_limited"
  /** We read too slowly. */
  | "slow"
  /** Too many frames that the server could not read: a fault of this library. */
  | "bad_frames"
  | "too_big"
  /** The session is over; another begins. */
  | "no_session"
  /** The token is none of the server's, or has expired. */
  | "unauthorized"
  /** The function that fetches tokens failed. */
  | "no_token"
  /** The same client has another connection. */
  | "replaced"
  /** The user has been erased on the server. */
  | "erased"
  /** The token is another user's, or the page may not connect. */
  | "forbidden"
  /** The server cannot make sense of what we say of ourselves. */
  | "refused";

export interface Ending {
  readonly why: Why;
  /** The close code of a WebSocket, the status of an HTTP reply; 0 where there was neither. */
  readonly code: number;
  /** Milliseconds that the server asks to stay away. */
  readonly retryAfterMs?: number;
  /** For a log; it may quote the server. */
  readonly detail: string;
  /** Whether the next way over HTTP would fail as well, for nobody answers there at all. */
  readonly isUnreachable?: boolean;
}

/** No way back by itself: the application or the user has to do something first. */
export function isFinal(why: Why): boolean {
  return why === "replaced" || why === "erased" || why === "forbidden" || why === "refused";
}

const BY_CODE: ReadonlyMap<number, Why> = new Map<number, Why>([
  [1001, "going_away"],
  [1009, "too_big"],
  [1011, "silent"],
  [4000, "bad_frames"],
  [4001, "replaced"],
  [4002, "slow"],
  [4008, "rate_limited"],
]);

/** The end of a WebSocket or of a stream. The reason is JSON where the server has chosen it. */
export function endingOfClose(code: number, reason: string): Ending {
  const said = parsed(reason);
  const word = said?.["code"];
  let why = BY_CODE.get(code) ?? "broken";
  // Of 1008 only some are about who we are; a message that took too long is just a bad line.
  if (code === 1008) why = word === "unauthorized" || word === "erased" ? word : "broken";
  return withRetry({ why, code, detail: reason }, said?.["retryAfter"]);
}

/** An `error` in answer to `hello` or to a request. `status` is that of the reply, 0 over a WebSocket. */
export function endingOfError(error: Pick<ErrorFrame, "code" | "message" | "retryAfter">, status = 0): Ending {
  return withRetry({ why: whyOf(error), code: status, detail: `${error.code}: ${error.message}` }, error.retryAfter);
}

function whyOf(error: Pick<ErrorFrame, "code" | "retryAfter">): Why {
  switch (error.code) {
    case "unauthorized":
    case "replaced":
    case "erased":
    case "forbidden":
    case "no_session":
      return error.code;
    case "bad_origin":
      return "forbidden";
    case "bad_frame":
      return "refused";
    case "rate_limited":
    case "too_many_connections":
      return "rate_limited";
    case "overloaded":
    case "not_stored":
      return "overloaded";
    default:
      return error.retryAfter === undefined ? "broken" : "overloaded";
  }
}

function withRetry(ending: Ending, retryAfterS: unknown): Ending {
  if (typeof retryAfterS !== "number" || !Number.isFinite(retryAfterS) || retryAfterS < 0) return ending;
  return { ...ending, retryAfterMs: Math.round(retryAfterS * 1000) };
}

function parsed(reason: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return asRecord(JSON.parse(reason));
  } catch {
    return undefined;
  }
}
