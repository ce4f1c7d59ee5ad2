/** The parts of a text: paragraphs, and code between fences. Pure. */

export type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "code"; readonly text: string; readonly language: string };

const FENCE = /^ {0,3}```[ \t]*([^\s`]*)[^`]*$/;

/** What stands behind a fence that has no end is code: so it is while an answer is being written. */
export function partsOf(text: string): readonly Part[] {
  const parts: Part[] = [];
  let lines: string[] = [];
  let language: string | undefined;
  const finish = (): void => {
    const joined = lines.join("\n");
    lines = [];
    if (language !== undefined) parts.push({ kind: "code", text: joined, language });
    else if (joined.trim() !== "") parts.push({ kind: "text", text: joined.replace(/^\n+|\s+$/g, "") });
  };
  for (const line of text.replace(/\r\n?/g, "\n").split("\n")) {
    const fence = FENCE.exec(line);
    if (fence === null || (language !== undefined && fence[1] !== "")) {
      lines.push(line);
      continue;
    }
    finish();
    language = language === undefined ? (fence[1] ?? "") : undefined;
  }
  finish();
  return parts;
}

/** A stretch of a paragraph. */
export interface Span {
  readonly kind: "text" | "code" | "strong";
  readonly text: string;
}

// Marks that have nothing between them, or a space next to what is between them, are a text like any other.
const MARKED = /`([^`\n]+)`|\*\*(?=\S)([^\n]*?\S)\*\*/g;

/** What is marked as code with "`", or as important with "**", stands for itself, without the marks. */
export function spansOf(text: string): readonly Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const found of text.matchAll(MARKED)) {
    if (found.index > end) spans.push({ kind: "text", text: text.slice(end, found.index) });
    const [whole, code, strong] = found;
    spans.push(code === undefined ? { kind: "strong", text: strong ?? "" } : { kind: "code", text: code });
    end = found.index + whole.length;
  }
  if (end < text.length) spans.push({ kind: "text", text: text.slice(end) });
  return spans;
}

/** Short enough to be read out or to stand in one line. */
export function teaserOf(text: string, most = 140): string {
  const line = text.replace(/\s+/g, " ").trim();
  const letters = [...line];
  return letters.length <= most
    ? line
    : `${letters
        .slice(0, most - 1)
        .join("")
        .trimEnd()}…`;
}
