/** The lines of the Output channel. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConnectionState } from "@proactive/client";
import { ConnectionLines } from "../../src/log_lines.js";

const ENDING = { why: "broken", code: 1006, detail: "" } as const;
const connected: ConnectionState = { state: "connected", transport: "websocket" };
const starting: ConnectionState = { state: "reconnecting", reason: "starting" };
const lost = (retryAt?: number): ConnectionState => ({
  state: "reconnecting",
  reason: "lost",
  ending: ENDING,
  ...(retryAt === undefined ? {} : { retryAt }),
});
const fallback = (transport: "sse" | "poll"): ConnectionState => ({ state: "fallback", transport });

for (const [claim, states, lines] of [
  ["a start that works", [starting, connected], ["Connecting...", "WebSocket connected"]],
  [
    "a start that does not, over many tries",
    [starting, { ...starting, ending: ENDING, retryAt: 1 }, { ...starting, ending: ENDING }],
    ["Connecting...", "Attempting to reconnect..."],
  ],
  [
    "a backend that is killed and comes back has one line for each change",
    [connected, lost(), lost(5), lost(), lost(9), fallback("sse"), fallback("poll"), connected],
    ["WebSocket connected", "Attempting to reconnect...", "Using HTTP fallback", "WebSocket connected"],
  ],
  [
    "what takes the user to mend says what it is",
    [connected, { state: "offline", reason: "unauthorized" }, { state: "offline", reason: "replaced" }],
    ["WebSocket connected", "Offline: sign in again", "Offline: this place is in use elsewhere"],
  ],
] as readonly (readonly [string, readonly ConnectionState[], readonly string[]])[]) {
  test(claim, () => {
    const log = new ConnectionLines();
    assert.deepEqual(
      states.flatMap((state) => log.next(state) ?? []),
      lines,
    );
  });
}
