/** Server-sent events, from text in pieces (HTML standard, section 9.2.6). Ids and `retry` are not looked at. */

export interface StreamEvent {
  /** `message`, unless the stream says otherwise. */
  readonly type: string;
  readonly data: string;
}

/** Characters of an event that does not end; a frame has at most some hundred thousand. */
const EVENT_MAX = 4_000_000;

export class EventStreamParser {
  private rest = "";
  private isAfterReturn = false;
  private type = "";
  private data: string[] = [];
  private size = 0;

  /** The events that end in this piece. Throws where one is larger than any can be. */
  push(text: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    // A line ends with CR, LF or both; of both, the LF may come with the next piece.
    const from = this.isAfterReturn && text.startsWith("\n") ? 1 : 0;
    if (text.length > 0) this.isAfterReturn = text.endsWith("\r");
    const lines = (this.rest + text.slice(from)).split(/\r\n|\r|\n/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.line(line, events);
    if (this.rest.length + this.size > EVENT_MAX)
      throw new RangeError(`an event has more than ${EVENT_MAX} characters`);
    return events;
  }

  private line(line: string, events: StreamEvent[]): void {
    if (line === "") {
      if (this.data.length > 0) events.push({ type: this.type || "message", data: this.data.join("\n") });
      this.type = "";
      this.data = [];
      this.size = 0;
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "data") {
      this.data.push(value);
      this.size += value.length;
    } else if (field === "event") {
      this.type = value;
    }
  }
}
