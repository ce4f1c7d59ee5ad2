/** What a piece of code comes to in a text: where it goes, how it is indented, what the text is then. Pure. */

import { fieldsOf } from "./record.js";

/** A stretch of a text, as offsets in UTF-16 units. Empty, it is the place of a cursor. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** `text` in the place of what stands there. */
export interface Change extends Span {
  readonly text: string;
}

/** How a document is written. */
export interface Manner {
  readonly insertSpaces: boolean;
  readonly tabSize: number;
  readonly eol: "\n" | "\r\n";
}

/** A place as a message may name it, as in the Language Server Protocol: counted from 0. */
export interface Position {
  readonly line: number;
  /** Undefined: from the beginning of the line, to its end. */
  readonly character?: number;
}

const DRIVE = /^\/[A-Za-z]:(?=\/|$)/;
const BLANK = /^[ \t]*$/;
const INDENTATION = /^[ \t]*/;
/** What stands before it goes on in the same line. */
const GOES_ON = /[\s=(,.[]$/;
const OPENS_BLOCK = /[:{([]\s*$/;

/**
 * The change that puts `code` there. A selection is replaced. At a cursor, lines of code become lines of their own,
 * indented as the line that they stand beside; what is no more than a part of a line may go within one.
 */
export function changeFor(code: string, text: string, { start, end }: Span, manner: Manner): Change {
  const lines = linesOf(code, manner);
  const first = start === 0 ? 0 : text.lastIndexOf("\n", start - 1) + 1;
  const last = lineEnd(text, end);
  const before = text.slice(first, start);
  const after = text.slice(end, last);
  const margin = marginOf(before);
  const indented = (by: string): string => joined(lines, by, manner);
  if (start < end) {
    const taken = text.slice(start, end);
    const tail = taken.endsWith("\n") ? manner.eol : "";
    if (!BLANK.test(before)) return { start, end, text: indented(margin).slice(margin.length) + tail };
    const selected = (before + taken).split("\n");
    const written = selected.find((line) => line.trim() !== "") ?? selected[0] ?? "";
    return { start: first, end, text: indented(marginOf(written)) + tail };
  }
  if (BLANK.test(before) && BLANK.test(after)) return { start: first, end: last, text: indented(before) };
  if (BLANK.test(before)) return { start: first, end: first, text: indented(marginOf(before + after)) + manner.eol };
  if (lines.length === 1 && (!BLANK.test(after) || GOES_ON.test(before))) return { start, end, text: lines[0] ?? "" };
  const line = text.slice(first, last);
  const deeper = OPENS_BLOCK.test(line) ? margin + unitOf(manner) : margin;
  return { start: first + line.trimEnd().length, end: last, text: manner.eol + indented(deeper) };
}

export function applied(text: string, change: Change): string {
  return text.slice(0, change.start) + change.text + text.slice(change.end);
}

/**
 * Where a span is after changes, each of which speaks of the text that the one before has left. `isTouched`: what stands
 * in it is not what it was.
 */
export function shifted(span: Span, changes: readonly Change[]): { readonly span: Span; readonly isTouched: boolean } {
  let { start, end } = span;
  let isTouched = false;
  for (const change of changes) {
    const growth = change.text.length - (change.end - change.start);
    if (start < end && isTypedBeside(change, { start, end })) {
      isTouched = true;
      end += growth;
    } else if (change.end <= start) {
      start += growth;
      end += growth;
    } else if (change.start < end) {
      isTouched = true;
      start = Math.min(start, change.start);
      end = Math.max(end, change.end) + growth;
    }
  }
  return { span: { start, end }, isTouched };
}

/** What is typed right before or behind a stretch, in its line, belongs to it: it is part of the same word or statement. */
function isTypedBeside({ start, end, text }: Change, span: Span): boolean {
  return start === end && (end === span.start || start === span.end) && !text.includes("\n");
}

/** The path of a file below a folder, with "/"; undefined where it is not below it. `folder`: absolute, with "/". */
export function pathBelow(folder: string, file: string): string | undefined {
  const root = folder.replace(/\/+$/, "");
  const slashed = file.replace(/\\/g, "/").replace(/^[A-Za-z]:\//, "/$&");
  // Where there are drives, names that differ by case alone are one name.
  const same = (path: string): string => (DRIVE.test(root) ? path.toLowerCase() : path);
  if (slashed.startsWith("/") && same(slashed.slice(0, root.length + 1)) !== same(`${root}/`)) return undefined;
  const parts = (slashed.startsWith("/") ? slashed.slice(root.length) : slashed)
    .split("/")
    .filter((part) => part !== "" && part !== ".");
  return parts.length === 0 || parts.includes("..") ? undefined : parts.join("/");
}

/** A `range` of a message, undefined where it is none. */
export function rangeOf(value: unknown): { readonly start: Position; readonly end: Position } | undefined {
  const { start, end } = fieldsOf(value);
  const [from, to] = [positionOf(start), positionOf(end)];
  if (from === undefined || to === undefined) return undefined;
  const isForward =
    from.line < to.line || (from.line === to.line && (from.character ?? 0) <= (to.character ?? Infinity));
  return isForward ? { start: from, end: to } : undefined;
}

const ALIASES: Readonly<Record<string, string>> = {
  "c++": "cpp",
  bash: "shellscript",
  cs: "csharp",
  docker: "dockerfile",
  golang: "go",
  js: "javascript",
  jsx: "javascriptreact",
  md: "markdown",
  py: "python",
  rb: "ruby",
  rs: "rust",
  sh: "shellscript",
  shell: "shellscript",
  ts: "typescript",
  tsx: "typescriptreact",
  yml: "yaml",
  zsh: "shellscript",
};

/** What the editor calls a language that a message names, "plaintext" where it knows none of that name. */
export function languageIdOf(name: string, known: readonly string[]): string {
  const lower = name.toLowerCase();
  const id = Object.hasOwn(ALIASES, lower) ? (ALIASES[lower] ?? lower) : lower;
  return known.includes(id) ? id : "plaintext";
}

/** The lines of the code, without the margin that all of them have and without empty ones around, in the manner of the document. */
export function linesOf(code: string, manner: Pick<Manner, "insertSpaces" | "tabSize">): readonly string[] {
  const lines = code
    .replace(/\r\n?/g, "\n")
    .split("\n")
    .map((line) => (BLANK.test(line) ? "" : line));
  while (lines.length > 1 && lines[0] === "") lines.shift();
  while (lines.length > 1 && lines.at(-1) === "") lines.pop();
  const margins = lines.filter((line) => line !== "").map(marginOf);
  const shared = margins.reduce(commonStart, margins[0] ?? "").length;
  const cut = lines.map((line) => line.slice(shared));
  const step = stepOf(cut);
  return cut.map((line) => line.replace(INDENTATION, (found) => inManner(found, step, manner)));
}

/** By how many spaces the code is indented at the least; 0 where it is not. */
function stepOf(lines: readonly string[]): number {
  const widths = lines.map((line) => /^ */.exec(line)?.[0].length ?? 0).filter((width) => width > 0);
  return widths.length === 0 ? 0 : Math.min(...widths);
}

function inManner(indentation: string, step: number, manner: Pick<Manner, "insertSpaces" | "tabSize">): string {
  if (manner.insertSpaces) return indentation.replace(/\t/g, " ".repeat(manner.tabSize));
  return step < 2 ? indentation : indentation.replaceAll(" ".repeat(step), "\t");
}

function joined(lines: readonly string[], margin: string, { eol }: Manner): string {
  return lines.map((line) => (line === "" ? "" : margin + line)).join(eol);
}

function commonStart(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return one.slice(0, length);
}

function marginOf(line: string): string {
  return INDENTATION.exec(line)?.[0] ?? "";
}

function unitOf({ insertSpaces, tabSize }: Manner): string {
  return insertSpaces ? " ".repeat(tabSize) : "\t";
}

/** The end of the line at `offset`, before its line break. */
function lineEnd(text: string, offset: number): number {
  const next = text.indexOf("\n", offset);
  if (next === -1) return text.length;
  return next > offset && text[next - 1] === "\r" ? next - 1 : next;
}

function positionOf(value: unknown): Position | undefined {
  const { line, character } = fieldsOf(value);
  if (!isCount(line)) return undefined;
  if (character === undefined) return { line };
  return isCount(character) ? { line, character } : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
