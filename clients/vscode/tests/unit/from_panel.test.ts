/** What the host takes from the view, and what it passes over. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { readFromPanel } from "../../src/from_panel.js";

const GOOD = [
  { kind: "ready" },
  { kind: "reconnect" },
  { kind: "say", text: "x".repeat(8000) },
  { kind: "answer", id: "1", response: "Yes" },
  ...["dismiss", "mute", "opened", "accept", "reject", "compare"].map((kind) => ({ kind, id: "1" })),
  { kind: "insert", code: "", language: "" },
  ...["quarter", "tomorrow", "wake"].map((how) => ({ kind: "snooze", how })),
  ...["off", "less", "normal", "more"].map((level) => ({ kind: "level", level })),
  { kind: "unmute", name: "*" },
];

for (const message of GOOD) {
  test(`taken: ${JSON.stringify(message).slice(0, 60)}`, () => assert.deepEqual(readFromPanel(message), message));
}

for (const value of [
  undefined,
  null,
  "ready",
  5,
  [],
  {},
  { kind: "eval", code: "x" },
  { kind: "toString" },
  { kind: ["ready"] },
  { kind: "say" },
  { kind: "say", text: "" },
  { kind: "say", text: " \n" },
  { kind: "say", text: { toString: "x" } },
  { kind: "say", text: "x".repeat(8001) },
  { kind: "answer", id: "1" },
  { kind: "answer", id: "", response: "Yes" },
  { kind: "dismiss" },
  { kind: "dismiss", id: 1 },
  { kind: "dismiss", id: "x".repeat(1001) },
  { kind: "insert", code: "x" },
  { kind: "insert", code: "x".repeat(1_000_001), language: "" },
  { kind: "snooze", how: "forever" },
  { kind: "level", level: "loud" },
  { kind: "unmute", name: "" },
]) {
  test(`passed over: ${(JSON.stringify(value) ?? "nothing").slice(0, 60)}`, () =>
    assert.equal(readFromPanel(value), undefined));
}

test("what is said loses the blanks around it, and fields that it has no use for", () => {
  assert.deepEqual(readFromPanel({ kind: "say", text: " hi\n", html: "<b>" }), { kind: "say", text: "hi" });
});
