/**
 * What a program wrote to a terminal, as the lines that stay there. It knows nothing of tests and draws nothing.
 *
 * Runners that redraw (progress, a live summary) go up, erase and write again; only what is left in the end counts.
 * The last lines are kept open for that, older ones are final. Colours and all other sequences are dropped.
 */

/** Lines that may still be written over. vitest and jest redraw about a screen. */
const OPEN_LINES = 60;
/** Of one line, in UTF-16 units; the rest of it is dropped. */
export const LINE_MAX = 4000;
/** An escape sequence that is longer is none: what is kept of it for the next chunk is bounded. */
export const SEQUENCE_MAX = 4096;

// eslint-style control characters are what this is about.
const ESC = "\u001b";
/** ESC [ parameters intermediates final, as in ECMA-48, 5.4. */
const CSI = /^\u001b\[([0-9:;<=>?]*)[ -/]*([@-~])/;
const CSI_BEGUN = /^\u001b\[[0-9:;<=>?]*[ -/]*$/;
/** Strings: OSC, DCS, SOS, PM, APC; they end with BEL or ESC \, and another sequence breaks them off, as in a terminal. */
const STRING = /^\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\|(?=\u001b[^\\]))/;
const STRING_BEGUN = /^\u001b[\]PX^_][^\u0007\u001b]*\u001b?$/;
/** ESC intermediates final. */
const SHORT = /^\u001b[ -/]*[0-~]/;
const SHORT_BEGUN = /^\u001b[ -/]*$/;

export class Screen {
  private lines: string[] = [""];
  private row = 0;
  private column = 0;
  private rest = ""; // of a chunk: a sequence that has only begun

  constructor(private readonly onLine: (line: string) => void) {}

  write(chunk: string): void {
    let text = this.rest + chunk;
    this.rest = "";
    while (text !== "") {
      const next = text.search(/[\u0000-\u001f\u007f]/);
      if (next === -1) return this.put(text);
      if (next > 0) this.put(text.slice(0, next));
      text = text.slice(next);
      const taken = text.startsWith(ESC) ? this.sequence(text) : this.control(text.charAt(0));
      if (taken === 0 && text.length <= SEQUENCE_MAX) {
        this.rest = text;
        return;
      }
      // Of one that does not end the ESC alone goes: what is behind it may be results.
      text = text.slice(Math.max(1, taken));
    }
  }

  /** All lines that are still open are final; the next chunk begins a new screen. */
  flush(): void {
    const lines = this.lines;
    this.lines = [""];
    this.row = 0;
    this.column = 0;
    this.rest = "";
    if (lines.at(-1) === "") lines.pop();
    for (const line of lines) this.onLine(line.trimEnd());
  }

  private put(text: string): void {
    const line = (this.lines[this.row] ?? "").padEnd(Math.min(this.column, LINE_MAX));
    this.lines[this.row] = (line.slice(0, this.column) + text + line.slice(this.column + text.length)).slice(
      0,
      LINE_MAX,
    );
    this.column = Math.min(this.column + text.length, LINE_MAX);
  }

  /** How many characters it took: always one. */
  private control(character: string): number {
    if (character === "\n") {
      this.row += 1;
      this.column = 0;
      if (this.row === this.lines.length) this.lines.push("");
      while (this.lines.length > OPEN_LINES) {
        this.onLine((this.lines.shift() ?? "").trimEnd());
        this.row = Math.max(0, this.row - 1);
      }
    } else if (character === "\r") this.column = 0;
    else if (character === "\b") this.column = Math.max(0, this.column - 1);
    else if (character === "\t") this.put("\t");
    return 1;
  }

  /** How many characters the sequence has; 0 where its end is still to come. */
  private sequence(text: string): number {
    const csi = CSI.exec(text);
    if (csi !== null) {
      this.apply(csi[2] ?? "", Number.parseInt(csi[1] ?? "", 10));
      return csi[0].length;
    }
    if (CSI_BEGUN.test(text) || SHORT_BEGUN.test(text) || STRING_BEGUN.test(text)) return 0;
    const string = STRING.exec(text);
    if (string !== null) return string[0].length;
    return SHORT.exec(text)?.[0].length ?? 1;
  }

  /** A sequence of the few that move or erase. `parameter` is NaN where there is none. */
  private apply(final: string, parameter: number): void {
    const count = Math.max(1, Number.isNaN(parameter) ? 1 : parameter);
    const line = this.lines[this.row] ?? "";
    if (final === "A") this.row = Math.max(0, this.row - count);
    else if (final === "B") this.row = Math.min(this.lines.length - 1, this.row + count);
    else if (final === "C") this.column = Math.min(LINE_MAX, this.column + count);
    else if (final === "D") this.column = Math.max(0, this.column - count);
    else if (final === "G") this.column = Math.min(LINE_MAX, count - 1);
    else if (final === "K" && parameter === 2) this.lines[this.row] = "";
    else if (final === "K" && parameter === 1) {
      this.lines[this.row] = " ".repeat(Math.min(this.column, line.length)) + line.slice(this.column);
    } else if (final === "K") this.lines[this.row] = line.slice(0, this.column);
    else if (final === "J" && !(parameter > 0)) {
      this.lines[this.row] = line.slice(0, this.column);
      this.lines.length = this.row + 1;
    } else if (final === "H" || final === "f") {
      // An absolute place: of a terminal whose height is not known, at least a line of its own.
      if (line !== "") this.control("\n");
      this.column = 0;
    }
  }
}
