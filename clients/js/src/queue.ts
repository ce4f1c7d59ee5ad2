/**
 * Events on their way to the server: kept until they are acknowledged, bounded, persisted. It sends nothing.
 *
 * Policy when it is full: what the user said (chat, answers, wishes, outcomes) is worth more than what the user did.
 * The oldest activity goes first, whoever comes; where there is none, the newcomer is not taken.
 */

import type { ClientEvent } from "./frames.js";
import { asRecord, type Shelf } from "./storage.js";

/** Events that wait; some 60 bytes to 64 KiB each. */
export const EVENTS_MAX = 1000;
/** Characters of their JSON together: a fifth of what browsers give a page in `localStorage`. */
export const CHARACTERS_MAX = 1_000_000;

/** An event in the queue. `sentAs` is when it was sent on the connection there is, 0 for not yet. */
export interface Queued {
  /** Its place, growing. */
  readonly place: number;
  /** By which an `ack` names it. An outcome's is our own, for its frame has the message's id. */
  readonly id: string;
  readonly frame: ClientEvent;
  readonly text: string;
  /** Whose it is, as far as that was known when it was told. */
  readonly user: string | undefined;
  sentAs: number;
  /** Whether it ever was, as far as can be known. */
  wasSent: boolean;
  /** Milliseconds of the session's clock. */
  sentAt: number;
}

/** What the user said is not given up for what the user did. */
export function isActivity(frame: ClientEvent): boolean {
  switch (frame.type) {
    case "chat_message":
    case "user_response":
    case "outcome":
    case "preferences":
    case "user.preferences":
    case "user.identify":
      return false;
    default:
      return true;
  }
}

export class EventQueue {
  // A Map keeps the order in which its entries came, which is that of `place`.
  private readonly entries = new Map<string, Queued>();
  private characters = 0;
  private tail = 0;

  constructor(
    private readonly shelf: Shelf,
    private readonly eventsMax: number = EVENTS_MAX,
    private readonly charactersMax: number = CHARACTERS_MAX,
  ) {
    this.load();
  }

  get size(): number {
    return this.entries.size;
  }

  /** Oldest first. */
  values(): IterableIterator<Queued> {
    return this.entries.values();
  }

  get(id: string): Queued | undefined {
    return this.entries.get(id);
  }

  /** Take an event in: those that it cost a place, oldest first. Itself among them: it was not taken. */
  add(id: string, frame: ClientEvent, user?: string): string[] {
    const text = JSON.stringify(frame);
    const dropped: string[] = [];
    while (this.entries.size >= this.eventsMax || this.characters + text.length > this.charactersMax) {
      const oldest = this.oldestActivity();
      if (oldest === undefined || text.length > this.charactersMax) return [...dropped, id];
      this.remove(oldest.id);
      dropped.push(oldest.id);
    }
    const entry: Queued = { place: this.tail, id, frame, text, user, sentAs: 0, wasSent: false, sentAt: 0 };
    this.tail += 1;
    this.entries.set(id, entry);
    this.characters += text.length;
    // The event first: a bound without it would be a gap, which is passed over; it without the bound would be lost.
    this.shelf.write(`e${entry.place}`, { id, frame, user });
    this.writeBounds();
    return dropped;
  }

  /** It is acknowledged, refused or given up. False where it is not there. */
  remove(id: string): boolean {
    const entry = this.entries.get(id);
    if (entry === undefined) return false;
    const wasHead = this.head === entry.place;
    this.entries.delete(id);
    this.characters -= entry.text.length;
    this.shelf.remove(`e${entry.place}`);
    if (wasHead) this.writeBounds();
    return true;
  }

  /** Nothing has been sent on the connection that comes. */
  unsendAll(): void {
    for (const entry of this.entries.values()) entry.sentAs = 0;
  }

  clear(): void {
    for (const id of [...this.entries.keys()]) this.remove(id);
    this.shelf.remove("queue");
  }

  private get head(): number {
    const first = this.entries.values().next();
    return first.done === true ? this.tail : first.value.place;
  }

  private oldestActivity(): Queued | undefined {
    for (const entry of this.entries.values()) if (isActivity(entry.frame)) return entry;
    return undefined;
  }

  private writeBounds(): void {
    this.shelf.write("queue", { head: this.head, tail: this.tail });
  }

  private load(): void {
    const bounds = asRecord(this.shelf.read("queue"));
    const head = bounds?.["head"];
    const tail = bounds?.["tail"];
    if (!isPlace(head) || !isPlace(tail) || tail < head) return;
    this.tail = tail;
    // Of bounds that are nonsense only so much is looked at; what is acknowledged in the middle leaves gaps.
    for (let place = Math.max(head, tail - 10 * this.eventsMax); place < tail; place++) {
      const kept = asRecord(this.shelf.read(`e${place}`));
      const frame = asRecord(kept?.["frame"]);
      const id = kept?.["id"];
      if (typeof id !== "string" || typeof frame?.["type"] !== "string" || this.entries.size >= this.eventsMax)
        continue;
      const event = frame as unknown as ClientEvent;
      const text = JSON.stringify(event);
      const user = typeof kept?.["user"] === "string" ? kept["user"] : undefined;
      this.entries.set(id, { place, id, frame: event, text, user, sentAs: 0, wasSent: true, sentAt: 0 });
      this.characters += text.length;
    }
  }
}

function isPlace(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
