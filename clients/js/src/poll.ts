/** Frames by long polling, for where nothing else gets through: a request that waits, and then the next. */

import type { ClientFrame, Welcome } from "./frames.js";
import { endingOfReply, HttpLink } from "./http.js";
import { toFrame } from "./reading.js";
import { asRecord } from "./storage.js";

/** A server answers after 25 seconds at the latest. */
const POLL_MS = 35_000;
/** Between requests that are answered at once with nothing. */
const EMPTY_MS = 1000;

export class PollLink extends HttpLink {
  readonly pulse = "requests";

  private handedOut = 0; // the `seq` up to which messages have come
  private wake: (() => void) | undefined;

  protected async listen(welcome: Welcome): Promise<void> {
    this.handedOut = this.received;
    this.tell(welcome);
    while (!this.isOver && !this.isFrozen) {
      // What has come and is not handled yet would only come again, at once.
      if (this.received < this.handedOut) await this.untilWoken();
      else await this.poll();
    }
  }

  override send(frames: readonly ClientFrame[]): void {
    // The next request says it.
    for (const frame of frames) if (isReceived(frame)) this.received = Math.max(this.received, frame.seq);
    const others = frames.filter((frame) => !isReceived(frame));
    if (others.length > 0) super.send(others);
    this.wakeUp();
  }

  override freeze(): void {
    super.freeze();
    this.wakeUp();
  }

  override close(): void {
    super.close();
    this.wakeUp();
  }

  private async poll(): Promise<void> {
    const askedAt = this.platform.now();
    const reply = await this.request("GET", this.path("/poll", `&after=${this.received}`), undefined, POLL_MS);
    const frames = asRecord(reply.body)?.["frames"];
    if (reply.status !== 200 || !Array.isArray(frames)) {
      this.end(endingOfReply(reply));
      return;
    }
    this.events.heard();
    for (const value of frames) {
      const frame = toFrame(value);
      const seq = frame?.["seq"];
      if (typeof seq === "number") this.handedOut = Math.max(this.handedOut, seq);
      this.tell(frame);
    }
    if (frames.length === 0 && this.platform.now() - askedAt < EMPTY_MS) await this.pause();
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.platform.setTimer(resolve, EMPTY_MS);
      this.wake = () => {
        cancel();
        resolve();
      };
    });
  }

  private untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private wakeUp(): void {
    const wake = this.wake;
    this.wake = undefined;
    wake?.();
  }
}

function isReceived(frame: ClientFrame): frame is ClientFrame & { readonly type: "received"; readonly seq: number } {
  return frame.type === "received" && typeof frame["seq"] === "number";
}
