/** The ways to a server, and how the application is told of the one that is taken. It decides nothing. */

import type { Ending } from "./closing.js";

/** The ways to a server, best first. */
export const TRANSPORTS = ["websocket", "sse", "poll"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** How the client is connected, and why not. */
export type ConnectionState =
  | { readonly state: "connected"; readonly transport: "websocket" }
  /** Over HTTP: all works, some of it later. `ending`: why there is no WebSocket. */
  | { readonly state: "fallback"; readonly transport: "sse" | "poll"; readonly ending?: Ending }
  /** Trying. `retryAt`: when the next try comes (epoch milliseconds), undefined for one that is under way. */
  | {
      readonly state: "reconnecting";
      readonly reason: "starting" | "lost";
      readonly ending?: Ending;
      readonly retryAt?: number;
    }
  /** Not connected. It comes back by itself only from `no_network`. */
  | { readonly state: "offline"; readonly reason: OfflineReason; readonly ending?: Ending };

export type OfflineReason =
  "not_started" | "disconnected" | "no_network" | "replaced" | "unauthorized" | "erased" | "forbidden" | "refused";

/** The state in which an ending leaves it from which there is no way back by itself. */
export function offlineFor(ending: Ending): ConnectionState {
  const { why } = ending;
  if (why === "no_session") return { state: "offline", reason: "replaced", ending };
  const isReason = why === "replaced" || why === "unauthorized" || why === "erased" || why === "forbidden";
  return { state: "offline", reason: isReason ? why : "refused", ending };
}
