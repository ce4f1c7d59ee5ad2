/**
 * The conversation at work: what comes from the client is put into it, what the user does is told to the client. It
 * draws nothing itself and knows no page: whoever shows it gives a `View`.
 */

import {
  isChatResponse,
  isCodeSuggestion,
  type ConnectionState,
  type Delivery,
  type Level,
  type Message,
  type Outcome,
  type Preferences,
  type ProactiveClient,
  type Withdrawn,
} from "@proactive/client";
import type { Conversation, Item, Shown } from "./conversation.js";
import { teaserOf } from "./text.js";
import { QUARTER_MS, tomorrowMorning } from "./times.js";
import { needsConnect, stateLine, textOf, troubleOf } from "./words.js";

/** The longest that a timer waits, in browsers and in Node. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Where it is shown. Moments are epoch milliseconds by the server's clock. */
export interface View {
  /** Draw it, at the end or in the place that it has. */
  draw(item: Item): void;
  erase(id: string): void;
  /** A message that nobody had, drawn already and not yet counted. */
  arrived(item: Shown): void;
  /** Tell those who listen. */
  announce(text: string): void;
  /** The messages that nobody has seen, oldest first. */
  showUnread(unread: readonly Shown[]): void;
  showState(state: ConnectionState["state"], line: string, canReconnect: boolean): void;
  /** `preferences` undefined: nothing is known of them yet. */
  showWishes(preferences: Preferences | undefined, now: number): void;
  /** Whether the conversation is before somebody's eyes. When that changes `see` is to be called. */
  isLooked(): boolean;
  /** Call it when it is worth drawing again: pieces of an answer come faster than anybody reads. */
  soon(call: () => void): void;
}

export class Talk {
  private readonly expiries = new Map<string, ReturnType<typeof setTimeout>>();
  /** What has been written so far of answers, by what they answer, until it is drawn. */
  private readonly writing = new Map<string, string>();
  private readonly ready: Promise<ProactiveClient>;
  private begin!: (client: ProactiveClient) => void;
  private endings: readonly (() => void)[] = [];
  private client: ProactiveClient | undefined;
  private preferences: Preferences | undefined;
  private waking: ReturnType<typeof setTimeout> | undefined;
  private isStopped = false;

  constructor(
    private readonly conversation: Conversation,
    private readonly view: View,
  ) {
    this.ready = new Promise((resolve) => (this.begin = resolve));
  }

  /** Show what was said before. Call it once, before anything else. */
  show(): void {
    for (const item of this.conversation.all()) {
      this.view.draw(item);
      if (item.kind === "message" && item.fate === undefined) this.expire(item);
    }
    this.showState();
    this.showWishes();
    this.see();
  }

  /** Go on with this client, once. Connecting it is the caller's. */
  start(client: ProactiveClient): void {
    if (this.isStopped) return;
    this.client = client;
    this.endings = [
      client.on("state", (state) => {
        // What the client keeps is gone by itself then; what was said is to go as well.
        if (state.state === "offline" && state.reason === "erased") this.clear();
        this.showState();
      }),
      client.on("message", (message) => this.take(message)),
      client.on("chatDelta", ({ to, text }) => this.write(to, text)),
      client.on("chatFailed", ({ to, message }) => this.trouble(to, message)),
      client.on("withdrawn", (frame) => this.withdraw(frame)),
      client.on("preferences", (frame) => {
        this.preferences = frame;
        this.showWishes();
      }),
      client.on("settled", ({ id, delivery }) => this.settled(id, delivery)),
    ];
    this.settleWhatIsKept(client);
    this.begin(client);
    this.showState();
    this.see();
  }

  /** Show and tell no more. Disconnecting the client is the caller's. */
  stop(): void {
    this.isStopped = true;
    for (const end of this.endings) end();
    for (const timer of [...this.expiries.values(), this.waking]) clearTimeout(timer);
  }

  /** Forget all that is kept here: for when somebody signs out. */
  forget(): void {
    this.clear();
    this.client?.forget();
    this.showState();
  }

  /** Oldest first. */
  get items(): readonly Item[] {
    return this.conversation.all();
  }

  /** The message with this id, undefined where there is none (any more). */
  message(id: string): Shown | undefined {
    const item = this.conversation.get(id);
    return item?.kind === "message" ? item : undefined;
  }

  /** Epoch milliseconds by the server's clock, as far as it is known. */
  now(): number {
    return this.client?.serverNow() ?? Date.now();
  }

  // What the user does. What is done to a message that is not there any more, or not open any more, is nothing.

  /** Say something. Resolves when it has got through, or never will. */
  async say(text: string): Promise<Delivery> {
    const client = await this.ready;
    const { id, delivery } = client.chat(text);
    this.put({ kind: "said", id, text, isWaiting: true });
    this.showState();
    return delivery;
  }

  answer(id: string, response: string): void {
    const item = this.open(id);
    const told = item === undefined ? undefined : this.client?.answer(item.frame, response);
    if (item === undefined || told === undefined) return;
    this.put({ ...item, fate: "answered", response, isSeen: true });
    this.view.announce(`You answered: ${teaserOf(response)}`);
    this.showState();
    this.see();
    void told.delivery.then((delivery) => {
      const trouble = troubleOf(delivery);
      const now = this.message(id);
      if (trouble !== undefined && now !== undefined) this.put({ ...now, trouble });
    });
  }

  /** Put it away. */
  dismiss(id: string): void {
    if (this.open(id) === undefined) return;
    this.outcome(id, "dismissed");
    this.remove(id);
    this.see();
  }

  /** Hear no more of its rule. */
  mute(id: string): void {
    const item = this.message(id);
    if (item === undefined || item.fate === "muted") return;
    this.outcome(id, "muted");
    this.put({ ...item, fate: "muted" });
    this.see();
    this.view.announce("You will not hear from this rule again");
  }

  /** Somebody asked why it is there. */
  opened(id: string): void {
    if (this.message(id) !== undefined) this.outcome(id, "engaged");
  }

  /** What it offers was taken. */
  accepted(id: string): void {
    const item = this.open(id);
    if (item === undefined) return;
    this.outcome(id, "engaged");
    this.put({ ...item, fate: "accepted", isSeen: true });
    this.view.announce("Taken into your code");
    this.see();
  }

  level(level: Level): void {
    this.prefer({ level });
  }

  snooze(how: "quarter" | "tomorrow" | "wake"): void {
    const until = how === "quarter" ? this.now() + QUARTER_MS : tomorrowMorning(this.now());
    this.prefer({ snoozedUntil: how === "wake" ? null : new Date(until).toISOString() });
  }

  unmute(name: string): void {
    this.prefer({ unmute: [name] });
  }

  /** All that is before somebody's eyes has been seen; the rest is counted. */
  see(): void {
    const isLooking = this.client !== undefined && this.view.isLooked();
    const unread: Shown[] = [];
    for (const item of this.conversation.all()) {
      if (item.kind !== "message" || item.isSeen) continue;
      if (!isLooking) unread.push(item);
      else {
        this.outcome(item.id, "seen");
        // Nothing of it looks different, so it is not drawn anew.
        this.conversation.put({ ...item, isSeen: true });
      }
    }
    this.view.showUnread(unread);
  }

  private prefer(change: Parameters<ProactiveClient["prefer"]>[0]): void {
    void this.ready.then((client) => {
      client.prefer(change);
      this.showState();
    });
  }

  private outcome(id: string, outcome: Outcome["outcome"]): void {
    this.client?.outcome({ id }, outcome);
  }

  private open(id: string): Shown | undefined {
    const item = this.message(id);
    return item?.fate === undefined ? item : undefined;
  }

  // What comes

  /** What was said in an earlier life and is not in the queue any more has got through. */
  private settleWhatIsKept(client: ProactiveClient): void {
    const queued = new Set(client.queued.map(({ id }) => id));
    for (const item of this.conversation.all()) {
      if (item.kind === "said" && item.isWaiting && !queued.has(item.id)) this.put({ ...item, isWaiting: false });
    }
  }

  private take(message: Message): void {
    if (isChatResponse(message)) {
      this.answerWith(message.to ?? message.id, message.message, false);
      return;
    }
    if (this.conversation.get(message.id) !== undefined) return;
    const item: Shown = { kind: "message", id: message.id, frame: message, isSeen: false };
    // One without a text is for the application, which hears of it.
    if (textOf(item) === "" && !isCodeSuggestion(message)) return;
    this.put(item);
    this.expire(item);
    this.view.arrived(item);
    this.see();
  }

  private write(to: string, text: string): void {
    const isDue = this.writing.size > 0;
    this.writing.set(to, text);
    if (isDue) return;
    this.view.soon(() => {
      for (const [one, latest] of this.isStopped ? [] : this.writing) this.answerWith(one, latest, true);
      this.writing.clear();
    });
  }

  private answerWith(to: string | number, text: string, isWriting: boolean): void {
    const id = `answer:${to}`;
    const known = this.conversation.get(id);
    if (known?.kind === "answer" && !known.isWriting) return;
    if (!isWriting) this.writing.delete(String(to));
    this.put({ kind: "answer", id, text, isWriting });
  }

  private withdraw({ id, reason }: Withdrawn): void {
    const item = this.open(id);
    if (item === undefined) return;
    if (reason === "answered") this.put({ ...item, fate: "elsewhere", isSeen: true });
    else this.remove(id);
    this.see();
  }

  private settled(id: string, delivery: Delivery): void {
    const item = this.conversation.get(id);
    if (item?.kind === "said" && delivery.status !== "kept") {
      const trouble = troubleOf(delivery);
      this.put({ ...item, isWaiting: false, ...(trouble === undefined ? {} : { trouble }) });
    }
    this.showState();
  }

  private trouble(id: string, trouble: string): void {
    const item = this.conversation.get(id);
    if (item?.kind === "said") this.put({ ...item, isWaiting: false, trouble });
    if (this.conversation.get(`answer:${id}`) !== undefined) this.remove(`answer:${id}`);
  }

  private expire(item: Shown): void {
    const { expiresAt } = item.frame;
    if (typeof expiresAt !== "number") return;
    const wait = expiresAt * 1000 - this.now();
    const timer = setTimeout(
      () => {
        this.expiries.delete(item.id);
        const now = this.open(item.id);
        if (now === undefined) return;
        if (expiresAt * 1000 > this.now()) this.expire(now);
        else this.put({ ...now, fate: "expired", isSeen: true });
        this.see();
      },
      Math.min(Math.max(wait, 0), TIMER_MAX_MS),
    );
    clearTimeout(this.expiries.get(item.id));
    this.expiries.set(item.id, timer);
  }

  // What is shown

  private put(item: Item): void {
    const beyond = this.conversation.put(item);
    this.view.draw(item);
    for (const id of beyond) this.remove(id);
  }

  private clear(): void {
    const items = this.conversation.all();
    this.conversation.clear();
    for (const { id } of items) this.remove(id);
    this.writing.clear();
    this.see();
  }

  private remove(id: string): void {
    clearTimeout(this.expiries.get(id));
    this.expiries.delete(id);
    this.conversation.remove(id);
    this.view.erase(id);
  }

  private showState(): void {
    const state = this.client?.state ?? { state: "reconnecting", reason: "starting" };
    this.view.showState(state.state, stateLine(state, this.client?.pending ?? 0), needsConnect(state));
  }

  private showWishes(): void {
    const now = this.now();
    this.view.showWishes(this.preferences, now);
    clearTimeout(this.waking);
    const until = (this.preferences?.snoozedUntil ?? 0) * 1000;
    if (until > now) this.waking = setTimeout(() => this.showWishes(), Math.min(until - now, TIMER_MAX_MS));
  }
}
