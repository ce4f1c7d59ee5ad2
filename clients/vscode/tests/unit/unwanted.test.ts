/** What waits and may not be told any more. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientEvent } from "@proactive/client";
import { isUnwanted, type Wanted } from "../../src/unwanted.js";

const ALL: Wanted = { allows: () => true, includesText: true, isSecret: (file) => file.startsWith("private/") };
const NOTHING: Wanted = { ...ALL, allows: () => false, includesText: false };
const WITHOUT_TEXT: Wanted = { ...ALL, includesText: false };
const WITHOUT_FILES: Wanted = { ...ALL, allows: (reporter) => reporter !== "files" };

for (const [claim, event, wanted, expected] of [
  ["what is allowed is wanted", { type: "file.edited", text: "x" }, ALL, false],
  ["where nothing is allowed nothing is", { type: "window.blurred" }, NOTHING, true],
  ["one reporter can be switched off", { type: "file.saved" }, WITHOUT_FILES, true],
  ["the others go on", { type: "test.failed", test: "a" }, WITHOUT_FILES, false],
  ["what was left out goes with its reporter", { type: "activity.omitted", reporter: "files" }, WITHOUT_FILES, true],
  ["and with no other", { type: "activity.omitted", reporter: "tests" }, WITHOUT_FILES, false],
  ["text goes when it is not to be told", { type: "file.edited", text: "x" }, WITHOUT_TEXT, true],
  ["so does the text of a problem", { type: "diagnostic.appeared", message: "x" }, WITHOUT_TEXT, true],
  ["what has none stays", { type: "file.edited", edits: 1 }, WITHOUT_TEXT, false],
  ["a file whose name is secret by now is not told", { type: "file.saved", file: "private/a.py" }, ALL, true],
  ["nor is a test in it", { type: "test.failed", test: "a", file: "private/a.py" }, ALL, true],
  ["another file is", { type: "file.saved", file: "src/a.py" }, ALL, false],
  ["what the user says is no activity", { type: "chat_message", message: "x" }, NOTHING, false],
  ["neither is a file that they name", { type: "chat_message", message: "x", file: "private/a.py" }, ALL, false],
  ["nor is an answer", { type: "user_response", questionId: "1", response: "x" }, NOTHING, false],
] as const) {
  test(claim, () => assert.equal(isUnwanted(event as ClientEvent, wanted), expected));
}
