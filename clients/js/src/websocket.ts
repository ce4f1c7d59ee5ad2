/** Frames over a WebSocket. It reads no frame's meaning and never tries again. */

import { endingOfClose } from "./closing.js";
import type { ClientFrame, Hello } from "./frames.js";
import type { Link, LinkEvents } from "./link.js";
import type { Platform, WebSocketClass, WebSocketLike } from "./platform.js";
import { readFrame } from "./reading.js";

/** The user leaves for good: the server ends the session. */
const LEAVING = 1000;
/** Anything else keeps it for a resume; of the codes that a page may use, this is nobody's (RFC 6455, section 7.4.2). */
const PAUSING = 3001;
const OPEN = 1;
const CLOSED = 3;

export function openWebSocket(url: string, WebSocket: WebSocketClass, platform: Platform, events: LinkEvents): Link {
  return new WebSocketLink(new WebSocket(url), platform, events);
}

class WebSocketLink implements Link {
  readonly pulse = "pings";
  private isOver = false;

  constructor(
    private readonly socket: WebSocketLike,
    platform: Platform,
    events: LinkEvents,
  ) {
    socket.addEventListener("open", () => {
      if (!this.isOver) events.ready();
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.isOver) return;
      events.heard();
      const frame = typeof data === "string" ? readFrame(data) : undefined;
      // What cannot be read may be of a later version of the protocol; it is passed over.
      if (frame !== undefined) events.frame(frame);
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.isOver) return;
      this.isOver = true;
      events.ended(endingOfClose(code, reason));
    });
    // A close follows, which says more; but for one that the policy of the page does not allow, in Chromium.
    socket.addEventListener("error", () => {
      platform.setTimer(() => {
        if (this.isOver || socket.readyState !== CLOSED) return;
        this.isOver = true;
        events.ended({ why: "broken", code: 0, detail: "the WebSocket could not be opened" });
      }, 0);
    });
  }

  hello(frame: Hello): void {
    this.send([frame]);
  }

  send(frames: readonly ClientFrame[]): void {
    if (this.isOver || this.socket.readyState !== OPEN) return;
    for (const frame of frames) this.socket.send(JSON.stringify(frame));
  }

  freeze(): void {
    // It never asks for anything.
  }

  close(isLeaving: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    this.socket.close(isLeaving ? LEAVING : PAUSING);
  }
}
