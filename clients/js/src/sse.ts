/** Frames by server-sent events, read from `fetch`: unlike `EventSource` it can bring a token in a header. */

import { endingOfClose } from "./closing.js";
import { EventStreamParser, type StreamEvent } from "./event_stream.js";
import type { Welcome } from "./frames.js";
import { endingOfReply, HttpLink, retryAfterOf } from "./http.js";
import { readFrame } from "./reading.js";
import { asRecord } from "./storage.js";

export class SseLink extends HttpLink {
  readonly pulse = "speaks";

  protected async listen(welcome: Welcome): Promise<void> {
    const response = await this.open(
      "GET",
      this.path("/stream", `&after=${this.received}`),
      undefined,
      new AbortController(),
    );
    if (response.status !== 200 || response.body === null) {
      const body: unknown = await response.json().catch(() => undefined);
      this.end(endingOfReply({ status: response.status, body, retryAfterMs: retryAfterOf(response) }));
      return;
    }
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new EventStreamParser();
    let isOpen = false;
    for (let piece = await reader.read(); !piece.done && !this.isOver; piece = await reader.read()) {
      this.events.heard();
      // A proxy that collects what it should pass on shows here: the stream is no way before anything has come of it.
      if (!isOpen) this.tell(welcome);
      isOpen = true;
      for (const event of parser.push(decoder.decode(piece.value, { stream: true }))) this.take(event);
    }
    this.end({ why: "broken", code: 0, detail: "the stream ended" });
  }

  private take(event: StreamEvent): void {
    if (event.type === "message") {
      this.tell(readFrame(event.data));
    } else if (event.type === "close") {
      const said = asRecord(parsed(event.data));
      const code = typeof said?.["code"] === "number" ? said["code"] : 0;
      this.end(endingOfClose(code, typeof said?.["reason"] === "string" ? said["reason"] : ""));
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
