/**
 * What has been said, oldest first. Kept for the next page in the same tab: a question must not be gone because somebody
 * followed a link. It draws nothing and sends nothing.
 */

import type { Message } from "@proactive/client";

/** More than anybody scrolls back to; the oldest go. */
const ITEMS_MAX = 200;
const ITEMS_KEPT_MAX = 50;
const CHARACTERS_KEPT_MAX = 500_000;

/** What the user said. `id` is that of the event. */
export interface Said {
  readonly kind: "said";
  readonly id: string;
  readonly text: string;
  readonly isWaiting: boolean;
  readonly trouble?: string;
}

/** The answer to what was said: `id` is `answer:` and that of what it answers. */
export interface Answer {
  readonly kind: "answer";
  readonly id: string;
  readonly text: string;
  readonly isWriting: boolean;
}

/** What became of a message that asked for something. */
export type Fate = "answered" | "elsewhere" | "expired" | "muted" | "accepted";

export interface Shown {
  readonly kind: "message";
  readonly id: string;
  readonly frame: Message;
  readonly isSeen: boolean;
  readonly fate?: Fate;
  readonly response?: string;
  readonly trouble?: string;
}

export type Item = Said | Answer | Shown;

/** The part of `Storage` that is used. */
export interface Keeper {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export class Conversation {
  private readonly items = new Map<string, Item>();

  /** `keeper` undefined keeps nothing. */
  constructor(
    private readonly keeper: Keeper | undefined,
    private readonly key: string,
  ) {
    for (const item of this.kept()) this.items.set(item.id, item);
  }

  all(): readonly Item[] {
    return [...this.items.values()];
  }

  get(id: string): Item | undefined {
    return this.items.get(id);
  }

  /** Add it at the end, or put it in the place of the one with its id. What had to make room for it. */
  put(item: Item): readonly string[] {
    this.items.set(item.id, item);
    const beyond = [...this.items.keys()].slice(0, Math.max(0, this.items.size - ITEMS_MAX));
    for (const id of beyond) this.items.delete(id);
    this.keep();
    return beyond;
  }

  remove(id: string): void {
    this.items.delete(id);
    this.keep();
  }

  /** Forget it all, also what is kept. */
  clear(): void {
    this.items.clear();
    this.keep();
  }

  private keep(): void {
    try {
      // An answer that is being written comes whole to the next page.
      const latest = this.all()
        .filter((item) => item.kind !== "answer" || !item.isWriting)
        .slice(-ITEMS_KEPT_MAX);
      let text = JSON.stringify(latest);
      while (text.length > CHARACTERS_KEPT_MAX && latest.shift() !== undefined) text = JSON.stringify(latest);
      if (latest.length === 0) this.keeper?.removeItem(this.key);
      else this.keeper?.setItem(this.key, text);
    } catch {
      // The tab's storage is full or forbidden: then the next page begins without.
    }
  }

  private kept(): readonly Item[] {
    try {
      const found: unknown = JSON.parse(this.keeper?.getItem(this.key) ?? "[]");
      return Array.isArray(found) ? found.slice(-ITEMS_KEPT_MAX).filter(isItem) : [];
    } catch {
      return [];
    }
  }
}

/** Other scripts of the page may write there as well. */
function isItem(value: unknown): value is Item {
  if (typeof value !== "object" || value === null) return false;
  const { kind, id, text, frame } = value as Readonly<Record<string, unknown>>;
  if (typeof id !== "string") return false;
  if (kind === "said" || kind === "answer") return typeof text === "string";
  return kind === "message" && typeof frame === "object" && frame !== null;
}
