/** What both ways over HTTP have in common: a session by `POST /hello`, and frames by `POST /events`, one request at a time. */

import { endingOfError, type Ending } from "./closing.js";
import type { ClientFrame, ErrorFrame, Hello, ServerFrame, Welcome } from "./frames.js";
import type { Link, LinkEvents } from "./link.js";
import type { Platform } from "./platform.js";
import { toFrame } from "./reading.js";
import { asRecord } from "./storage.js";
import type { Pulse } from "./watchdog.js";

/** Frames of one request, and characters of its body: a server takes 500 and 1 MiB. */
const BATCH_MAX = 100;
const BODY_MAX = 400_000;
const REQUEST_MS = 15_000;

export interface Reply {
  readonly status: number;
  readonly body: unknown;
  /** Milliseconds of the header `Retry-After`, which may be that of something in between. */
  readonly retryAfterMs: number | undefined;
}

/** A request that has no reply. */
export class Unreachable extends Error {}

export abstract class HttpLink implements Link {
  abstract readonly pulse: Pulse;

  protected isOver = false;
  protected isFrozen = false;
  /** The `seq` up to which the application has everything. */
  protected received = 0;
  protected session = "";

  private readonly running = new Set<AbortController>();
  private pending: ClientFrame[] = [];
  private isPosting = false;
  private batchMax = BATCH_MAX;

  constructor(
    private readonly baseUrl: string,
    private readonly token: string | undefined,
    private readonly fetch: typeof globalThis.fetch,
    protected readonly platform: Platform,
    protected readonly events: LinkEvents,
  ) {
    queueMicrotask(() => {
      if (!this.isOver) events.ready();
    });
  }

  hello(frame: Hello): void {
    void this.run(async () => {
      const reply = await this.request("POST", "/hello", frame);
      const welcome = toFrame(reply.body);
      if (reply.status !== 200 || !isWelcome(welcome)) {
        this.end(endingOfReply(reply));
        return;
      }
      this.session = welcome.session;
      this.received = welcome.resumed ? (frame.resume?.received ?? 0) : 0;
      await this.listen(welcome);
    });
  }

  /** Tell of the welcome, and then of all that comes. */
  protected abstract listen(welcome: Welcome): Promise<void>;

  send(frames: readonly ClientFrame[]): void {
    this.pending.push(...frames);
    if (!this.isPosting) void this.run(() => this.postAll());
  }

  freeze(): void {
    this.isFrozen = true;
  }

  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    for (const aborter of this.running) aborter.abort();
    this.running.clear();
  }

  /** Whatever goes wrong in it is the end of the link. */
  protected async run(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      const isUnreachable = cause instanceof Unreachable;
      this.end({ why: "broken", code: 0, detail: String(cause), isUnreachable });
    }
  }

  protected end(ending: Ending): void {
    if (this.isOver) return;
    this.close();
    this.events.ended(ending);
  }

  protected tell(frame: ServerFrame | undefined): void {
    if (frame !== undefined && !this.isOver) this.events.frame(frame);
  }

  protected path(route: string, more = ""): string {
    return `${route}?session=${encodeURIComponent(this.session)}${more}`;
  }

  /** Throws `Unreachable` where no reply comes in time. */
  protected async request(method: string, path: string, value?: unknown, timeoutMs = REQUEST_MS): Promise<Reply> {
    const aborter = new AbortController();
    const giveUp = this.platform.setTimer(() => aborter.abort(), timeoutMs);
    try {
      const response = await this.open(method, path, value, aborter);
      const text = await response.text();
      return { status: response.status, body: parsed(text), retryAfterMs: retryAfterOf(response) };
    } catch (cause) {
      throw cause instanceof Unreachable ? cause : new Unreachable(`${method} ${path.split("?")[0]}: ${String(cause)}`);
    } finally {
      giveUp();
      this.running.delete(aborter);
    }
  }

  /** The response as soon as it begins; `aborter` is the link's from here on, to give it up with. */
  protected async open(method: string, path: string, value: unknown, aborter: AbortController): Promise<Response> {
    if (this.isOver) throw new Unreachable("the link has been closed");
    this.running.add(aborter);
    const headers: Record<string, string> = {};
    if (this.token !== undefined) headers["Authorization"] = `Bearer ${this.token}`;
    if (value !== undefined) headers["Content-Type"] = "application/json";
    const body = value === undefined ? {} : { body: JSON.stringify(value) };
    try {
      return await this.fetch(this.baseUrl + path, {
        method,
        headers,
        signal: aborter.signal,
        cache: "no-store",
        ...body,
      });
    } catch (cause) {
      throw new Unreachable(`${method} ${path.split("?")[0]}: ${String(cause)}`);
    }
  }

  private async postAll(): Promise<void> {
    this.isPosting = true;
    try {
      while (this.pending.length > 0 && !this.isOver) await this.post(this.nextBatch());
    } finally {
      this.isPosting = false;
    }
  }

  private nextBatch(): ClientFrame[] {
    let characters = 0;
    let count = 0;
    for (const frame of this.pending) {
      characters += JSON.stringify(frame).length;
      if (count > 0 && (count >= this.batchMax || characters > BODY_MAX)) break;
      count += 1;
    }
    return this.pending.splice(0, count);
  }

  private async post(frames: readonly ClientFrame[]): Promise<void> {
    const reply = await this.request("POST", this.path("/events"), frames);
    const { status, body } = reply;
    if (status === 202) {
      this.batchMax = BATCH_MAX;
      const replies = asRecord(body)?.["frames"];
      if (Array.isArray(replies)) for (const reply of replies) this.tell(toFrame(reply));
      if (!this.isOver) this.events.taken(frames);
      return;
    }
    const error = toFrame(body);
    if (!isError(error)) {
      this.end(endingOfReply(reply));
    } else if (error.retryAfter !== undefined) {
      this.tellOfEach(frames, error);
    } else if (status !== 400 && status !== 413) {
      this.end(endingOfError(error, status));
    } else if (frames.length > 1) {
      // One of them spoils the whole request. Which one, is seen when each comes by itself.
      this.pending.unshift(...frames);
      this.batchMax = Math.ceil(frames.length / 2);
    } else {
      this.tellOfEach(frames, error);
    }
  }

  /** As a server says it over a WebSocket, where every frame is answered by itself. */
  private tellOfEach(frames: readonly ClientFrame[], error: ErrorFrame): void {
    for (const frame of frames) {
      const id = frame["id"];
      this.tell(typeof id === "string" ? { ...error, frameId: id } : error);
    }
  }
}

/** A reply that is not the one that was asked for. */
export function endingOfReply({ status, body, retryAfterMs }: Reply): Ending {
  const error = toFrame(body);
  if (isError(error)) return endingOfError(error, status);
  const ending: Ending = {
    why: "broken",
    code: status,
    detail: `expected a reply of the protocol, got status ${status}`,
  };
  return retryAfterMs === undefined ? ending : { ...ending, retryAfterMs };
}

/** Only seconds are read: a date would need a clock that is right. */
export function retryAfterOf(response: Response): number | undefined {
  const text = response.headers.get("Retry-After");
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : undefined;
}

function isWelcome(frame: ServerFrame | undefined): frame is Welcome {
  return frame?.type === "welcome";
}

function isError(frame: ServerFrame | undefined): frame is ErrorFrame {
  return frame?.type === "error";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
