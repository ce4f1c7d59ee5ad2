/** The dial's text. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { statusText, type Status } from "../../src/status_text.js";

const NOW = new Date(2026, 2, 27, 10).getTime();
const of = (more: Partial<Status>): string =>
  statusText({ level: "normal", snoozedUntil: null, unread: 0, line: "Connected", ...more }, NOW).text;

for (const [level, text] of [
  ["off", "$(comment-discussion) Proactive: Off"],
  ["less", "$(comment-discussion) Proactive: Less"],
  ["normal", "$(comment-discussion) Proactive: Normal"],
  ["more", "$(comment-discussion) Proactive: More"],
  [undefined, "$(comment-discussion) Proactive"],
] as const) {
  test(`at the level ${level ?? "that nobody knows yet"}`, () => assert.equal(of({ level }), text));
}

test("a snooze is told until its very moment", () => {
  assert.match(of({ snoozedUntil: NOW + 1 }), /Proactive: Snoozed until .*\d/);
  assert.match(of({ snoozedUntil: NOW }), /Proactive: Normal$/);
});

test("what is new is counted", () => {
  assert.match(of({ unread: 1 }), /Normal \(1 new\)$/);
  assert.match(of({ unread: 99 }), /\(99 new\)$/);
  assert.match(of({ unread: 100 }), /\(99\+ new\)$/);
});

test("what is read out has no sign in it, and says how it is connected", () => {
  const { label } = statusText({ level: "less", snoozedUntil: null, unread: 2, line: "Reconnecting…" }, NOW);
  assert.equal(label, "Proactive: Less (2 new), Reconnecting…");
});
