// Where a piece of code goes in a text, and how. "[" and "]" are the ends of the selection, "|" is the cursor.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  applied,
  changeFor,
  languageIdOf,
  linesOf,
  pathBelow,
  rangeOf,
  shifted,
  type Change,
  type Manner,
  type Position,
  type Span,
} from "../../src/code_suggestion_text.js";

const SPACES: Manner = { insertSpaces: true, tabSize: 4, eol: "\n" };
const TABS: Manner = { insertSpaces: false, tabSize: 4, eol: "\n" };
const LOOP = "for x in y:\n    f(x)";

function put(marked: string, code: string, manner = SPACES): string {
  const start = marked.search(/[[|]/);
  const end = marked.includes("|") ? start : marked.indexOf("]") - 1;
  const text = marked.replace(/[[\]|]/g, "");
  return applied(text, changeFor(code, text, { start, end }, manner));
}

const PLACED: readonly (readonly [string, string, string, string, Manner?])[] = [
  ["an empty document is the code", "|", LOOP, LOOP],
  ["a blank line takes the code in its indentation", "a\n  |\nb", LOOP, "a\n  for x in y:\n      f(x)\nb"],
  ["what is right of the cursor in a blank line goes", "a\n  |  \nb", "c", "a\n  c\nb"],
  [
    "before what stands in a line comes a line above it",
    "a\n    |b\n",
    LOOP,
    "a\n    for x in y:\n        f(x)\n    b\n",
  ],
  ["in the indentation of a line it is the line that counts", "a\n  |  b\n", "c", "a\n    c\n    b\n"],
  ["behind a line comes a line below it", "  a|\nb", "c", "  a\n  c\nb"],
  ["behind a line that opens a block it goes one deeper", "  if a:|\nb", "c", "  if a:\n      c\nb"],
  ["with tabs it goes a tab deeper", "\tif (a) {|\n\t}", "c", "\tif (a) {\n\t\tc\n\t}", TABS],
  ["spaces behind a line go with the line break", "  a  |  \nb", LOOP, "  a\n  for x in y:\n      f(x)\nb"],
  ["what goes on goes on in its line", "x = |\nb", "f(1)", "x = f(1)\nb"],
  ["within a line a part of one is put at the cursor", "f(|, 2)", "1", "f(1, 2)"],
  ["within a line several lines come below it", "  f(|1)\nb", LOOP, "  f(1)\n  for x in y:\n      f(x)\nb"],
  ["a selection is replaced", "f([1], 2)", "3", "f(3, 2)"],
  ["a selection within a line keeps the margin below", "  x = [1]", "[\n  2,\n]", "  x = [\n    2,\n  ]"],
  ["lines that are selected whole keep their margin", "a\n[  b\n  c\n]d", LOOP, "a\n  for x in y:\n      f(x)\nd"],
  [
    "a selection that begins behind the margin is indented too",
    "a\n  [b\n  c]\nd",
    LOOP,
    "a\n  for x in y:\n      f(x)\nd",
  ],
  ["empty lines in front of a selection count not", "[\n\n  b]", "c", "  c"],
  ["a selection of spaces alone keeps them as a margin", "a\n[    ]\nb", "c", "a\n    c\nb"],
  [
    "line breaks are those of the document",
    "a\r\n  b|\r\nc",
    LOOP,
    "a\r\n  b\r\n  for x in y:\r\n      f(x)\r\nc",
    { ...SPACES, eol: "\r\n" },
  ],
  ["whole lines of Windows stay whole", "[a\r\n]b", "c", "c\r\nb", { ...SPACES, eol: "\r\n" }],
  ["empty lines get no indentation", "  |", "a\n\nb", "  a\n\n  b"],
  ["a document of tabs gets tabs", "\t|", LOOP, "\tfor x in y:\n\t\tf(x)", TABS],
  ["a document of spaces gets spaces", "|", "a\n\tb", "a\n    b"],
  ["a margin that all the code has is not kept", "|", "    a\n      b", "a\n  b"],
  ["no code in the place of a selection deletes it", "a [b] c", "", "a  c"],
];
for (const [claim, marked, code, expected, manner] of PLACED) {
  test(claim, () => assert.equal(put(marked, code, manner), expected));
}

test("a bracket of one's own is no mark", () => {
  assert.deepEqual(changeFor("a[0]", "x = ", { start: 4, end: 4 }, SPACES), { start: 4, end: 4, text: "a[0]" });
});

test("the code's own empty lines around go, those within stay", () => {
  assert.deepEqual(linesOf("\n\r\n a\r\n\r\n b\r\n \r\n", SPACES), ["a", "", "b"]);
});

const SPAN: Span = { start: 10, end: 20 };
const CHANGES: readonly (readonly [string, Change, Span, boolean])[] = [
  ["what is before moves it", { start: 0, end: 2, text: "abc" }, { start: 11, end: 21 }, false],
  ["what ends where it begins moves it", { start: 8, end: 10, text: "" }, { start: 8, end: 18 }, false],
  ["what begins where it ends leaves it", { start: 20, end: 21, text: "abc" }, SPAN, false],
  ["what is typed right behind it belongs to it", { start: 20, end: 20, text: "a" }, { start: 10, end: 21 }, true],
  ["what is typed right before it belongs to it", { start: 10, end: 10, text: "a" }, { start: 10, end: 21 }, true],
  ["a line that is begun behind it does not", { start: 20, end: 20, text: "\n" }, SPAN, false],
  ["a line that is put before it moves it", { start: 10, end: 10, text: "a\n" }, { start: 12, end: 22 }, false],
  ["what is within touches it", { start: 12, end: 13, text: "" }, { start: 10, end: 19 }, true],
  ["what reaches into its beginning touches it", { start: 9, end: 11, text: "a" }, { start: 9, end: 19 }, true],
  ["what reaches over its end touches it", { start: 19, end: 25, text: "a" }, { start: 10, end: 20 }, true],
  ["what is all around touches it", { start: 0, end: 30, text: "" }, { start: 0, end: 0 }, true],
];
for (const [claim, change, expected, isTouched] of CHANGES) {
  test(claim, () => assert.deepEqual(shifted(SPAN, [change]), { span: expected, isTouched }));
}

test("a cursor goes behind what is typed there, and is not touched by it", () => {
  const typed = { start: 10, end: 10, text: "ab" };
  assert.deepEqual(shifted({ start: 10, end: 10 }, [typed]), { span: { start: 12, end: 12 }, isTouched: false });
});

test("a cursor in what was deleted is where that was, and is touched", () => {
  const deleted = { start: 5, end: 15, text: "" };
  assert.deepEqual(shifted({ start: 10, end: 10 }, [deleted]), { span: { start: 5, end: 5 }, isTouched: true });
});

test("changes come one after the other", () => {
  const changes = [
    { start: 30, end: 30, text: "x" },
    { start: 0, end: 0, text: "abcde" },
    { start: 16, end: 17, text: "" },
  ];
  assert.deepEqual(shifted(SPAN, changes), { span: { start: 15, end: 24 }, isTouched: true });
});

const PATHS: readonly (readonly [string, string, string | undefined])[] = [
  ["/w", "src/a.py", "src/a.py"],
  ["/w/", "./src//a.py", "src/a.py"],
  ["/w", "/w/src/a.py", "src/a.py"],
  ["/w", "src\\a.py", "src/a.py"],
  ["/c:/w", "C:\\w\\a.py", "a.py"],
  ["/C:/w", "C:\\w\\a.py", "a.py"],
  ["/C:/w", "c:/w/a.py", "a.py"],
  ["/c:/Work", "C:\\work\\Src\\a.py", "Src/a.py"],
  ["/c:/", "C:\\a.py", "a.py"],
  ["/c:/w", "D:\\w\\a.py", undefined],
  ["/c:/w", "C:\\work\\a.py", undefined],
  ["/Work", "/work/a.py", undefined],
  ["/w", "../a.py", undefined],
  ["/w", "src/../../a.py", undefined],
  ["/w", "/w/../etc/passwd", undefined],
  ["/w", "/work/a.py", undefined],
  ["/w", "/w", undefined],
  ["/w", "", undefined],
  ["/", "/a.py", "a.py"],
];
for (const [folder, file, expected] of PATHS) {
  test(`in ${folder} the file "${file}" is ${expected}`, () => assert.equal(pathBelow(folder, file), expected));
}

const at = (line: number, character?: number): Position => ({
  line,
  ...(character === undefined ? {} : { character }),
});
const RANGES: readonly (readonly [string, unknown, unknown])[] = [
  ["a range has two ends", { start: at(1, 2), end: at(3, 4) }, { start: at(1, 2), end: at(3, 4) }],
  ["a range may be of whole lines", { start: at(1), end: at(1) }, { start: at(1), end: at(1) }],
  ["a range may be empty", { start: at(1, 2), end: at(1, 2) }, { start: at(1, 2), end: at(1, 2) }],
  ["a range goes forward", { start: at(1, 2), end: at(1, 1) }, undefined],
  ["a range has no lines before the first", { start: at(-1), end: at(1) }, undefined],
  ["a range is counted in whole characters", { start: at(1, 0.5), end: at(2) }, undefined],
  ["a range is no text", "1-2", undefined],
  ["no range is none", undefined, undefined],
];
for (const [claim, given, expected] of RANGES) {
  test(claim, () => assert.deepEqual(rangeOf(given), expected));
}

const LANGUAGES: readonly (readonly [string, string])[] = [
  ["python", "python"],
  ["Py", "python"],
  ["sh", "shellscript"],
  ["klingon", "plaintext"],
  ["constructor", "plaintext"],
  ["", "plaintext"],
];
for (const [name, expected] of LANGUAGES) {
  test(`a language called "${name}" is ${expected}`, () =>
    assert.equal(languageIdOf(name, ["plaintext", "python", "shellscript"]), expected));
}
