/** The lines that stay on a terminal. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { LINE_MAX, Screen, SEQUENCE_MAX } from "../../src/activity/runs/screen.js";

function shown(...chunks: readonly string[]): readonly string[] {
  const lines: string[] = [];
  const screen = new Screen((line) => lines.push(line));
  for (const chunk of chunks) screen.write(chunk);
  screen.flush();
  return lines;
}

const CASES: readonly [string, readonly string[], readonly string[]][] = [
  ["lines end with either ending", ["a\nb\r\nc"], ["a", "b", "c"]],
  ["nothing is no line", [""], []],
  ["colours go", ["\u001b[1;31mred\u001b[0m\u001b(B\u001b[m"], ["red"]],
  ["a carriage return writes over", ["abc\rx\n"], ["xbc"]],
  ["progress is what it came to", ["1/3\r2/3\r3/3\n"], ["3/3"]],
  [
    "a line is erased to its end, its begin, or all of it",
    ["abc\rx\u001b[K\n", "abc\u001b[1Kd\n", "abc\u001b[2Kd\n"],
    ["x", "   d", "   d"],
  ],
  ["lines above are written over", ["one\ntwo\n\u001b[2A\u001b[KONE\n"], ["ONE", "two"]],
  ["lines below are erased", ["one\ntwo\nthree\u001b[2A\r\u001b[Jnew"], ["new"]],
  ["nothing is above the first line", ["\u001b[9Aa"], ["a"]],
  ["columns are gone to", ["abc\u001b[2GX\u001b[1DY\n"], ["aYc"]],
  [
    "marks of shell integration go, in pieces too",
    ["\u001b]633;C", "\u0007ok\n\u001b]0;ti", "tle\u001b\\b"],
    ["ok", "b"],
  ],
  ["a sequence may come in pieces", ["a\u001b", "[3", "1mb"], ["ab"]],
  ["a bell is nothing, a backspace goes back", ["ab\u0007\bc"], ["ac"]],
  ["an absolute place is a line of its own", ["a\u001b[12;1Hb"], ["a", "b"]],
  ["blanks at the end go", ["a   \n"], ["a"]],
];

for (const [name, chunks, lines] of CASES) {
  test(name, () => assert.deepEqual(shown(...chunks), lines));
}

test("a line has a bound", () => {
  assert.deepEqual(
    shown("x".repeat(LINE_MAX), "y\n", "z".repeat(LINE_MAX + 9)).map((line) => line.length),
    [LINE_MAX, LINE_MAX],
  );
});

for (const [kind, begun] of [
  ["title", "]0;t"],
  ["device string", "Pd"],
] as const) {
  test(`a ${kind} without an end loses its ESC alone, and nothing that is behind it`, () => {
    const behind = `${"\n".repeat(SEQUENCE_MAX)}results`;
    const lines = shown(`a\u001b${begun}${behind}\n`, "b\n");
    assert.equal(lines[0], `a${begun}`);
    assert.deepEqual(lines.slice(-2), ["results", "b"]);
  });
}

test("a sequence may have so many characters without an end, and one more is none", () => {
  const begun = `\u001b]0;${"x".repeat(SEQUENCE_MAX - 4)}`;
  assert.deepEqual(shown(begun, "\u0007a"), ["a"]);
  assert.match(shown(`${begun}x`, "\u0007a")[0] ?? "", /^\]0;x+/);
});

test("another sequence breaks off one that does not end", () => {
  assert.deepEqual(shown("a\u001b]0;title\u001b[31mb\u001b[0m\n", "c\u0007\n"), ["ab", "c"]);
});

test("lines are final when a screen has been written below them", () => {
  const lines: string[] = [];
  const screen = new Screen((line) => lines.push(line));
  screen.write("first\n");
  assert.deepEqual(lines, []);
  screen.write("\n".repeat(100));
  assert.equal(lines[0], "first");
});
