/** Which messages show themselves in a corner. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Shown } from "@proactive/widget/conversation.js";
import { Corner, CORNER_MAX, CORNER_MS, toastFor } from "../../src/toast_choice.js";

function shown(frame: Readonly<Record<string, unknown>>, more: Partial<Shown> = {}): Shown {
  const whole = { type: "backend_message", message: "Need a hand?", timestamp: 0, id: "1", ...frame };
  return { kind: "message", id: "1", frame: whole as unknown as Shown["frame"], isSeen: false, ...more };
}

const question = (options?: readonly unknown[]): Shown =>
  shown({ messageType: "question", questionId: "q", ...(options === undefined ? {} : { options }) });

for (const [kind, questions, suggestions] of [
  ["question", true, true],
  ["suggestion", false, true],
  ["notification", false, false],
] as const) {
  test(`a ${kind} shows itself where that is wished`, () => {
    const item = shown({ messageType: kind });
    assert.equal(toastFor(item, "questions") !== undefined, questions);
    assert.equal(toastFor(item, "suggestions") !== undefined, suggestions);
    assert.equal(toastFor(item, "none"), undefined);
  });
}

test("a message of another type is as quiet as a suggestion, and so is code", () => {
  for (const type of ["news", "code_suggestion"]) {
    assert.equal(toastFor(shown({ type }), "questions"), undefined);
    assert.ok(toastFor(shown({ type }), "suggestions"));
  }
  assert.equal(
    toastFor(shown({ type: "code_suggestion", message: undefined, code: "x" }), "suggestions")?.text,
    "Some code is proposed",
  );
});

test("what was seen or has come to its end shows itself no more", () => {
  assert.equal(toastFor({ ...question(["Yes"]), isSeen: true }, "questions"), undefined);
  assert.equal(toastFor({ ...question(["Yes"]), fate: "elsewhere" }, "questions"), undefined);
});

for (const [claim, options, expected] of [
  ["options are buttons", ["Yes please", "Not now"], ["Yes please", "Not now"]],
  ["three options are buttons", ["1", "2", "3"], ["1", "2", "3"]],
  ["more than three are too many", ["1", "2", "3", "4"], []],
  ["an option may be as long as a button", ["x".repeat(40)], ["x".repeat(40)]],
  ["a longer one is none", ["No", "x".repeat(41)], []],
  ["numbers are texts", [1, 2], ["1", "2"]],
  ["a question for words has no buttons", undefined, []],
] as const) {
  test(claim, () => assert.deepEqual(toastFor(question(options), "questions")?.options, expected));
}

test("only what asks has options", () => {
  assert.deepEqual(toastFor(shown({ messageType: "suggestion", options: ["Yes"] }), "suggestions")?.options, []);
});

test("a text is short, and no link to a command can be made of it", () => {
  const text = (message: string): string | undefined =>
    toastFor(shown({ messageType: "question", message }), "questions")?.text;
  assert.equal(text("a\n\nb"), "a b");
  assert.equal(text("x".repeat(300))?.length, 240);
  assert.doesNotMatch(text("[click](command:workbench.action.quit)") ?? "", /\]\(/);
});

test("the corner has room for three, and again when one is closed", () => {
  const corner = new Corner();
  const ids = Array.from({ length: CORNER_MAX }, (_, number) => String(number));
  assert.ok(ids.every((id) => corner.take(id, 0)));
  assert.equal(corner.take("more", 0), false);
  corner.leave("1");
  assert.equal(corner.take("more", 0), true);
  assert.equal(corner.take("yet more", 0), false);
});

test("toasts that nobody closes keep others out for a while and not for ever", () => {
  const corner = new Corner();
  for (let number = 0; number < CORNER_MAX; number++) corner.take(String(number), number);
  assert.equal(corner.take("more", CORNER_MS - 1), false);
  assert.equal(corner.take("more", CORNER_MS), true);
  assert.equal(corner.take("yet more", CORNER_MS), false);
});
