/** What the Output channel says of the connection. Pure. */

import type { ConnectionState } from "@proactive/client";
import { stateLine } from "@proactive/widget/words.js";

/** A line for each change that somebody would call one, and none for each of many tries. */
export class ConnectionLines {
  private latest: string | undefined;

  /** The line, undefined where nothing has changed. */
  next(state: ConnectionState): string | undefined {
    const line = lineOf(state);
    if (line === this.latest) return undefined;
    this.latest = line;
    return line;
  }
}

function lineOf(state: ConnectionState): string {
  switch (state.state) {
    case "connected":
      return "WebSocket connected";
    case "fallback":
      return "Using HTTP fallback";
    case "reconnecting":
      // A start that has failed once is no start any more.
      return state.reason === "starting" && state.ending === undefined ? "Connecting..." : "Attempting to reconnect...";
    case "offline":
      return stateLine(state, 0);
  }
}
