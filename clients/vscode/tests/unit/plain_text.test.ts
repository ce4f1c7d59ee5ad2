/** What may stand in a notification. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { NAME_MAX, plain } from "../../src/plain_text.js";

/** What VS Code makes links of in a notification. */
const LINK = /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)(?: (["'])(.+?)(\3))?\)/i;

for (const text of [
  "[Open](command:workbench.action.quit)",
  'for "[Open](COMMAND:workbench.action.quit)", and',
  "[[a](command:b)](command:c)",
  "[a](https://evil.example)",
  '[a](file:///etc/passwd "b")',
  "[a]\n(command:b)",
]) {
  test(`${JSON.stringify(text)} is no link`, () => assert.doesNotMatch(plain(text), LINK));
}

test("what is no link stays as it is", () => assert.equal(plain("f(a[0], b) [x] (y)"), "f(a[0], b) [x] (y)"));

for (const [length, most, expected] of [
  [240, undefined, 240],
  [241, undefined, 240],
  [60_000, undefined, 240],
  [NAME_MAX, NAME_MAX, NAME_MAX],
  [NAME_MAX + 1, NAME_MAX, NAME_MAX],
] as const) {
  test(`of ${length} characters where ${most ?? "240"} may be there are ${expected}`, () =>
    assert.equal(plain("x".repeat(length), most).length, expected));
}

test("it is one line", () => assert.equal(plain(" a\r\n\n b "), "a b"));

test("nothing goes into a notification but the extension's own words and what is made plain", () => {
  const names = readdirSync("src", { recursive: true, encoding: "utf-8" }).filter((name) => name.endsWith(".ts"));
  const shown = names.flatMap((name) => {
    const calls = readFileSync(join("src", name), "utf-8").matchAll(
      /show(?:Information|Warning|Error)Message\b(.{0,9})/gs,
    );
    return [...calls].map(([, given = ""]) => [name, given] as const);
  });
  assert.ok(shown.length >= 4);
  for (const [name, given] of shown) assert.match(given, /^\(\s*("|plain\()/, name);
});
