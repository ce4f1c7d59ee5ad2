/** When it connects, by which way, and what it says of that. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { BASE_MS, CAP_MS, fullJitter } from "../../src/backoff.js";
import type { Ending, Why } from "../../src/closing.js";
import { ATTEMPT_MS, Connector, STABLE_MS, type Command } from "../../src/connector.js";
import { TRANSPORTS, type Transport } from "../../src/states.js";

const broken: Ending = { why: "broken", code: 1006, detail: "" };
const ending = (why: Why, retryAfterMs?: number): Ending => ({
  why,
  code: 0,
  detail: "",
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

/** What it wants, in a word each. */
function words(connector: Connector): string[] {
  return connector.commands.splice(0).map((command: Command) => {
    switch (command.kind) {
      case "open":
        return `${command.isUpgrade ? "upgrade" : "open"} ${command.transport}`;
      case "state":
        return command.state.state + ("reason" in command.state ? ` ${command.state.reason}` : "");
      default:
        return command.kind;
    }
  });
}

function connectorOf(transports: readonly Transport[] = TRANSPORTS, random = 0.5, canRefreshToken = false): Connector {
  return new Connector({ transports, canRefreshToken, random: () => random });
}

function up(connector: Connector, now: number): void {
  connector.saidHello();
  connector.welcomed(now);
}

test("back-off has full jitter: from nothing to twice as much each time, up to a cap", () => {
  assert.equal(fullJitter(0, 0), 0);
  assert.equal(fullJitter(0, 0.999), Math.floor(0.999 * BASE_MS));
  assert.equal(fullJitter(3, 0.5), 0.5 * 8 * BASE_MS);
  assert.equal(fullJitter(6, 0.5), 0.5 * CAP_MS);
  assert.equal(fullJitter(10_000, 0.5), 0.5 * CAP_MS);
});

test("the ways are tried in their order, then it waits and begins with the best again", () => {
  const connector = connectorOf();
  connector.start(0);
  assert.deepEqual(words(connector), ["reconnecting starting", "open websocket"]);
  connector.failed(10, broken);
  assert.deepEqual(words(connector), ["open sse"]);
  connector.failed(20, broken);
  assert.deepEqual(words(connector), ["open poll"]);
  connector.failed(30, broken);
  assert.deepEqual(words(connector), ["reconnecting starting"]);
  assert.equal(connector.wakeAt, 30 + fullJitter(1, 0.5));
  connector.tick(30 + fullJitter(1, 0.5) - 1);
  assert.deepEqual(words(connector), []);
  connector.tick(30 + fullJitter(1, 0.5));
  assert.deepEqual(words(connector), ["reconnecting starting", "open websocket"]);
});

test("where nobody answers over HTTP at all, the second way over HTTP is not tried", () => {
  const connector = connectorOf();
  connector.start(0);
  connector.failed(1, { ...broken, isUnreachable: true });
  connector.failed(2, { ...broken, isUnreachable: true });
  assert.deepEqual(words(connector), ["reconnecting starting", "open websocket", "open sse", "reconnecting starting"]);
});

test("a try that takes too long is given up for the next way", () => {
  const connector = connectorOf();
  connector.start(0);
  words(connector);
  connector.tick(ATTEMPT_MS - 1);
  assert.deepEqual(words(connector), []);
  connector.tick(ATTEMPT_MS);
  assert.deepEqual(words(connector), ["abandon", "open sse"]);
});

test("a lost connection is come back to; back-off grows until one has been stable", () => {
  const connector = connectorOf(["websocket"], 0.5);
  connector.start(0);
  let now = 0;
  const waits = [];
  for (let time = 0; time < 8; time++) {
    up(connector, now);
    now += STABLE_MS - 1;
    connector.lost(now, broken);
    waits.push((connector.wakeAt ?? 0) - now);
    now = connector.wakeAt ?? now;
    connector.tick(now);
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  up(connector, now);
  connector.lost(now + STABLE_MS, broken);
  assert.equal((connector.wakeAt ?? 0) - now - STABLE_MS, 250);
});

test("what a server asks to stay away is waited for, and jitter comes on top; no hint shortens it", () => {
  const connector = connectorOf();
  connector.start(0);
  up(connector, 0);
  connector.lost(STABLE_MS, ending("going_away", 7000));
  assert.equal(connector.wakeAt, STABLE_MS + 7000 + 250);
  connector.visible(STABLE_MS + 1);
  connector.hint(STABLE_MS + 2, "offline");
  connector.hint(STABLE_MS + 3, "online");
  assert.equal(connector.wakeAt, STABLE_MS + 7000 + 250);
});

test("being asked to wait while trying keeps the other ways from being tried", () => {
  const connector = connectorOf();
  connector.start(0);
  words(connector);
  connector.failed(5, ending("rate_limited", 5000));
  assert.deepEqual(words(connector), ["reconnecting starting"]);
  assert.equal(connector.wakeAt, 5 + 5000 + 500);
});

for (const why of ["replaced", "erased", "forbidden", "refused", "unauthorized"] as const) {
  test(`after "${why}" it does not come back by itself`, () => {
    const connector = connectorOf();
    connector.start(0);
    up(connector, 0);
    words(connector);
    connector.lost(60_000, ending(why));
    assert.deepEqual(words(connector), [`offline ${why}`]);
    assert.equal(connector.wakeAt, undefined);
    connector.hint(61_000, "online");
    connector.visible(61_000);
    assert.deepEqual(words(connector), []);
    connector.start(62_000);
    assert.deepEqual(words(connector), ["reconnecting starting", "open websocket"]);
  });
}

test("whoever replaces it right after a try was given up is that try, some times", () => {
  const connector = connectorOf(["websocket"]);
  connector.start(0);
  let now = 0;
  const told = [];
  for (let time = 0; time < 4; time++) {
    up(connector, now);
    words(connector);
    connector.lost(now + 5, ending("replaced"));
    told.push(...words(connector));
    now = connector.wakeAt ?? now;
    connector.tick(now);
  }
  assert.deepEqual(told, ["reconnecting lost", "reconnecting lost", "reconnecting lost", "offline replaced"]);
});

test("a refused token is fetched anew twice", () => {
  const connector = connectorOf(["websocket", "sse"], 0.5, true);
  connector.start(0);
  for (let time = 0; time < 3; time++) {
    connector.failed(time, ending("unauthorized"));
    connector.tick(connector.wakeAt ?? 0);
  }
  assert.deepEqual(
    words(connector).filter((word) => !word.startsWith("reconnecting")),
    ["open websocket", "open websocket", "open websocket", "offline unauthorized"],
  );
});

test("from a fallback it tries to get back, further and further apart, and leaves what there is alone", () => {
  const connector = connectorOf();
  connector.start(0);
  connector.failed(0, broken);
  connector.failed(0, broken);
  up(connector, 0);
  assert.deepEqual(words(connector).slice(-1), ["fallback"]);
  const waits = [];
  let now = 0;
  for (let time = 0; time < 6; time++) {
    waits.push((connector.wakeAt ?? 0) - now);
    now = connector.wakeAt ?? now;
    connector.tick(now);
    connector.failed(now, broken); // the WebSocket
    connector.failed(now, broken); // and server-sent events
    assert.deepEqual(words(connector), ["upgrade websocket", "upgrade sse"]);
  }
  assert.deepEqual(waits, [11_250, 22_500, 45_000, 90_000, 180_000, 225_000]);
  connector.tick(connector.wakeAt ?? 0);
  up(connector, connector.wakeAt ?? 0);
  assert.deepEqual(words(connector), ["upgrade websocket", "connected"]);
  assert.equal(connector.wakeAt, undefined);
});

test("a try to get back that has said hello and fails takes the connection with it, and the next begins where it was", () => {
  const connector = connectorOf();
  connector.start(0);
  connector.failed(0, broken);
  up(connector, 0);
  connector.tick(connector.wakeAt ?? 0);
  words(connector);
  connector.saidHello();
  connector.failed(20_000, broken);
  assert.deepEqual(words(connector), ["drop", "reconnecting lost"]);
  connector.tick(connector.wakeAt ?? 0);
  assert.deepEqual(words(connector), ["reconnecting lost", "open sse"]);
});

test("where the fallback is lost during a try to get back, that try is all there is", () => {
  const connector = connectorOf();
  connector.start(0);
  connector.failed(0, broken);
  up(connector, 0);
  connector.tick(connector.wakeAt ?? 0);
  connector.saidHello();
  words(connector);
  connector.lost(12_000, ending("replaced"));
  assert.deepEqual(words(connector), [], "it is that try which replaces it");
  connector.welcomed(12_100);
  assert.deepEqual(words(connector), ["connected"]);
});

test("a way that breaks at once three times in a row is left for the next", () => {
  const connector = connectorOf();
  connector.start(0);
  for (let time = 0; time < 3; time++) {
    up(connector, time * 40_000);
    connector.lost(time * 40_000 + 10, broken);
    words(connector);
    connector.tick(connector.wakeAt ?? 0);
  }
  assert.deepEqual(words(connector), ["reconnecting lost", "open sse"]);
});

test("without a network it says so and goes on trying, for a server of this machine needs none", () => {
  const connector = connectorOf(["websocket"], 0.5);
  connector.start(0);
  up(connector, 0);
  connector.hint(20_000, "offline");
  words(connector);
  connector.lost(30_000, broken);
  assert.deepEqual(words(connector), ["offline no_network"]);
  connector.tick(connector.wakeAt ?? 0);
  assert.deepEqual(words(connector), ["open websocket"]);
  connector.failed(31_000, broken);
  connector.failed(31_000, broken);
  words(connector);
  connector.hint(31_001, "online");
  assert.deepEqual(words(connector), ["reconnecting lost"]);
  assert.ok((connector.wakeAt ?? 0) <= 31_001 + 1000, "spread over a second");
});

test("stopped, it lets go of everything", () => {
  const connector = connectorOf();
  connector.start(0);
  connector.failed(0, broken);
  up(connector, 0);
  connector.tick(connector.wakeAt ?? 0);
  words(connector);
  connector.stop(20_000);
  assert.deepEqual(words(connector), ["abandon", "drop", "offline disconnected"]);
  assert.equal(connector.wakeAt, undefined);
});
