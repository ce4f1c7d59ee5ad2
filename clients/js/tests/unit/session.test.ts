/** The core by itself, where a connection that was left still speaks. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { ServerFrame, Welcome } from "../../src/frames.js";
import { IN_FLIGHT_MAX, Session } from "../../src/session.js";
import { Shelf } from "../../src/storage.js";
import { MemoryStorage } from "../virtual_time.js";

function sessionOf(storage = new MemoryStorage()): Session {
  return new Session({ clientId: "laptop", user: "ann" }, "e", new Shelf(storage, "s:"));
}

function welcome(resumed = false): Welcome {
  return { type: "welcome", session: "s1", user: "ann", serverTime: 0, heartbeat: 20, resumed, limits: {} };
}

const message = (id: string, seq: number): ServerFrame => ({
  type: "backend_message",
  messageType: "suggestion",
  message: "",
  timestamp: 0,
  id,
  seq,
});

const kinds = (effects: readonly { kind: string }[]): string[] => effects.map(({ kind }) => kind);

test("numbers of a connection that was left mean nothing on the next", () => {
  const session = sessionOf();
  session.hello();
  session.receive(welcome(), 0, 0);
  session.receive(message("m1", 1), 0, 0);
  session.handled("m1", 0);
  const { resume } = session.hello();
  assert.deepEqual(resume, { session: "s1", received: 1 });
  assert.deepEqual(session.receive(message("m2", 2), 0, 0, true), [], "before the welcome");
  session.receive(welcome(true), 0, 0);
  assert.deepEqual(session.receive(message("m2", 2), 0, 0, true), [], "and after it");
  // m2 has been taken back meanwhile: the next message has its number now.
  assert.deepEqual(kinds(session.receive(message("m3", 2), 0, 0)), ["hand"]);
  assert.deepEqual(session.framesToSend(0), [], "m3 is not handled yet");
  session.handled("m3", 0);
  assert.deepEqual(session.framesToSend(0), [{ type: "received", seq: 2 }]);
});

test("what needs no number is heard from a connection that was left: acknowledgements, withdrawals, wishes", () => {
  const session = sessionOf();
  const { id } = session.tell({ type: "did" }, 0);
  session.hello();
  session.receive(welcome(), 0, 0);
  assert.equal(session.framesToSend(0).length, 1);
  session.hello();
  assert.deepEqual(kinds(session.receive({ type: "ack", ids: [id] }, 0, 0, true)), ["settled"]);
  assert.deepEqual(kinds(session.receive({ type: "withdrawn", id: "m1", reason: "muted" }, 0, 0, true)), ["withdrawn"]);
  assert.deepEqual(
    kinds(session.receive({ type: "preferences", level: "less", muted: [], snoozedUntil: null }, 0, 0, true)),
    ["preferences"],
  );
  assert.deepEqual(kinds(session.receive({ type: "error", code: "internal", message: "" }, 0, 0, true)), []);
  assert.deepEqual(kinds(session.receive(welcome(), 0, 0, true)), []);
});

test("a message that was taken back before it came is not shown, and counts as received", () => {
  const session = sessionOf();
  session.hello();
  session.receive(welcome(), 0, 0);
  session.receive({ type: "withdrawn", id: "m1", reason: "cancelled" }, 0, 0);
  assert.deepEqual(kinds(session.receive(message("m1", 1), 0, 0)), []);
  assert.deepEqual(session.framesToSend(0), [{ type: "received", seq: 1 }]);
});

test("a withdrawal that is said again after a resume is told once; of many, the latest are known", () => {
  const session = sessionOf();
  session.hello();
  session.receive(welcome(), 0, 0);
  const withdraw = (id: string): string[] =>
    kinds(session.receive({ type: "withdrawn", id, reason: "answered" }, 0, 0));
  assert.deepEqual(withdraw("m1"), ["withdrawn"]);
  session.hello();
  session.receive(welcome(true), 0, 0);
  assert.deepEqual(withdraw("m1"), []);
  for (let n = 0; n < 99; n++) assert.deepEqual(withdraw(`n${n}`), ["withdrawn"]);
  assert.deepEqual(withdraw("m1"), []);
  assert.deepEqual(withdraw("n99"), ["withdrawn"]);
  assert.deepEqual(withdraw("m1"), ["withdrawn"]);
});

test("each hello says which of its run it is, so that a late one is known", () => {
  const session = sessionOf();
  assert.deepEqual(session.hello().attempt, { run: "e", number: 1 });
  assert.deepEqual(session.hello().attempt, { run: "e", number: 2 });
});

test("nothing is sent before the welcome, nor more than a server takes at once", () => {
  const session = sessionOf();
  for (let n = 0; n < 300; n++) session.tell({ type: "did", n }, 0);
  session.hello();
  assert.deepEqual(session.framesToSend(0), []);
  session.receive(welcome(), 0, 0);
  const first = session.framesToSend(0);
  assert.equal(first.length, 128);
  assert.equal(session.framesToSend(0).length, 0);
  session.receive({ type: "ack", ids: first.slice(0, 10).map((frame) => String(frame["id"])) }, 0, 0);
  assert.equal(session.framesToSend(0).length, 10);
});

test("a pause holds back events, not what was received", () => {
  const session = sessionOf();
  const { id } = session.tell({ type: "did" }, 0);
  session.hello();
  session.receive(welcome(), 0, 0);
  session.framesToSend(0);
  session.receive({ type: "error", code: "rate_limited", message: "", frameId: id, retryAfter: 2 }, 1000, 0);
  session.receive(message("m1", 1), 1000, 0);
  session.handled("m1", 0);
  assert.equal(session.wakeAt, 3000);
  assert.deepEqual(session.framesToSend(2999), [{ type: "received", seq: 1 }]);
  assert.deepEqual(
    session.framesToSend(3000).map((frame) => frame["id"]),
    [id],
  );
});

test("after a restart what has been handled is known, and what was in hand comes again", () => {
  const storage = new MemoryStorage();
  const session = sessionOf(storage);
  session.hello();
  session.receive(welcome(), 0, 0);
  for (const seq of [1, 2]) session.receive(message(`m${seq}`, seq), 0, 0);
  session.handled("m1", 0);
  const again = sessionOf(storage);
  assert.deepEqual(again.hello().resume, { session: "s1", received: 1 });
  again.receive(welcome(true), 0, 0);
  assert.deepEqual(kinds(again.receive(message("m2", 2), 0, 0)), ["hand"]);
});

test("an inbox whose remembrance is damaged begins anew", () => {
  for (const nonsense of [
    "",
    "7",
    "{}",
    '{"session":7,"received":1}',
    '{"session":"s1","received":-1}',
    '{"session":"s1","received":1,"seen":[7,null]}',
  ]) {
    const storage = new MemoryStorage();
    storage.setItem("s:inbox", nonsense);
    assert.doesNotThrow(() => sessionOf(storage).hello(), nonsense);
  }
});

test("an event has the time at which it happened, unless the clock cannot be meant", () => {
  const ats = [1_774_605_900_000, 0, 100_000_000_001, 221_845_391_999_999, 221_845_392_000_000, Number.NaN].map(
    (at) => {
      const session = sessionOf();
      session.tell({ type: "did" }, at);
      return [...session.queue.values()][0]?.frame["at"];
    },
  );
  assert.deepEqual(ats, [1_774_605_900_000, undefined, 100_000_000_001, 221_845_391_999_999, undefined, undefined]);
});

test("an inbox of which nothing is taken has an end: what does not fit is not counted as received", () => {
  const session = sessionOf();
  session.hello();
  session.receive(welcome(), 0, 0);
  for (let seq = 1; seq <= 1001; seq++) session.receive(message(`m${seq}`, seq), 0, 0);
  assert.deepEqual(session.receive(message("m1002", 1002), 0, 0), [{ kind: "unusable", why: "full" }]);
  for (let seq = 1; seq <= 1001; seq++) session.handled(`m${seq}`, 0);
  assert.deepEqual(session.framesToSend(0), [{ type: "received", seq: 1001 }]);
});

test("what has no room on its way waits for acknowledgements, and for no clock", () => {
  const session = sessionOf();
  session.hello();
  session.receive(welcome(), 0, 0);
  const ids = Array.from({ length: IN_FLIGHT_MAX + 1 }, () => session.tell({ type: "did" }, 0).id);
  session.framesToSend(0);
  const first = ids[0] ?? "";
  session.receive({ type: "error", code: "rate_limited", message: "", frameId: first, retryAfter: 1 }, 0, 0);
  assert.equal(session.wakeAt, 1000);
  assert.equal(session.framesToSend(1000).length, 1);
  assert.equal(session.wakeAt, undefined);
});
