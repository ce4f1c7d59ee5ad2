/**
 * Messages from the server: each once by its id, in the order of `seq`, counted as received when it has been handled.
 *
 * It shows nothing and sends nothing. Numbers are those of one connection: the next one numbers anew what is owed.
 */

import type { ChatResponse, ServerMessage } from "./frames.js";
import { asRecord, type Shelf } from "./storage.js";

/** Ids that are remembered, some 40 bytes each. A server sends at most 400 messages again. */
export const SEEN_MAX = 1000;
/** Messages that wait for the application's handler. */
export const WAITING_MAX = 1000;

/** What is handed to the application, one after the other. */
export type Handed = (ServerMessage | ChatResponse) & { readonly id: string };

type Fate = "waiting" | "in hand" | "handled";

export class Inbox {
  /** The session that can be resumed. */
  session: string | undefined;
  /** The `seq` up to which everything has been handled. */
  received = 0;

  private readonly fates = new Map<string, Fate>();
  private numbered: { readonly seq: number; readonly id: string | undefined }[] = [];
  private lastSeq = 0;
  private waiting: Handed[] = [];
  private inHand: string | undefined;

  constructor(private readonly shelf: Shelf) {
    this.load();
  }

  /** The connection that comes numbers from `received` on. */
  renumber(): void {
    this.numbered = [];
    this.lastSeq = this.received;
  }

  /** Which session it is. Of another one nothing has been received. */
  begin(session: string, resumed: boolean): void {
    if (!resumed) this.received = 0;
    this.session = session;
    this.renumber();
  }

  /** Count a frame's number. False where numbers before it are missing: then nothing of this connection is to be trusted. */
  count(seq: number, id: string | undefined): boolean {
    if (seq <= this.lastSeq) return true;
    if (seq !== this.lastSeq + 1) return false;
    this.lastSeq = seq;
    this.numbered.push({ seq, id });
    return true;
  }

  /** Take a message in. False where it has been here already, or there is no room. */
  add(message: Handed): boolean {
    if (this.fates.has(message.id) || this.waiting.length >= WAITING_MAX) return false;
    this.remember(message.id, "waiting");
    this.waiting.push(message);
    return true;
  }

  get isFull(): boolean {
    return this.waiting.length >= WAITING_MAX;
  }

  /** The message whose turn it is; `handled` has to be called then. `serverNow`: milliseconds of the server's clock. */
  next(serverNow: number): Handed | undefined {
    while (this.inHand === undefined) {
      const message = this.waiting.shift();
      if (message === undefined) return undefined;
      if (message.expiresAt !== undefined && message.expiresAt * 1000 <= serverNow) {
        this.remember(message.id, "handled");
        continue;
      }
      this.inHand = message.id;
      this.remember(message.id, "in hand");
      return message;
    }
    return undefined;
  }

  /** The application is done with it. */
  handled(id: string): void {
    if (this.inHand === id) this.inHand = undefined;
    if (this.fates.has(id)) this.remember(id, "handled");
  }

  /** It is not to be shown any more, now or later. */
  withdraw(id: string): void {
    this.waiting = this.waiting.filter((message) => message.id !== id);
    if (this.inHand !== id) this.remember(id, "handled");
  }

  /** Move `received` up to what has been handled without a gap; whether it moved. */
  advance(): boolean {
    const before = this.received;
    for (let first = this.numbered[0]; first !== undefined && this.isDone(first.id); first = this.numbered[0]) {
      this.received = first.seq;
      this.numbered.shift();
    }
    return this.received !== before;
  }

  /** Write down what the next process has to know. */
  save(): void {
    const seen = [...this.fates].filter(([, fate]) => fate === "handled").map(([id]) => id);
    this.shelf.write("inbox", { session: this.session, received: this.received, seen });
  }

  /** Forget it all. `isConnected`: but for the numbers of the connection there is, which go on. */
  clear(isConnected: boolean): void {
    this.fates.clear();
    this.waiting = [];
    this.inHand = undefined;
    if (!isConnected) {
      this.session = undefined;
      this.received = 0;
      this.renumber();
    }
    this.shelf.remove("inbox");
  }

  private isDone(id: string | undefined): boolean {
    return id === undefined || (this.fates.get(id) ?? "handled") === "handled";
  }

  private remember(id: string, fate: Fate): void {
    this.fates.delete(id);
    this.fates.set(id, fate);
    if (this.fates.size <= SEEN_MAX) return;
    for (const [known, itsFate] of this.fates) {
      if (itsFate === "handled") {
        this.fates.delete(known);
        return;
      }
    }
  }

  private load(): void {
    const kept = asRecord(this.shelf.read("inbox"));
    const seen = kept?.["seen"];
    if (Array.isArray(seen)) {
      for (const id of seen.slice(-SEEN_MAX)) if (typeof id === "string") this.fates.set(id, "handled");
    }
    const received = kept?.["received"];
    if (
      typeof kept?.["session"] === "string" &&
      typeof received === "number" &&
      Number.isSafeInteger(received) &&
      received >= 0
    ) {
      this.session = kept["session"];
      this.received = received;
    }
    this.renumber();
  }
}
