/** Between the client and the panel: what comes is shown, what is done is told. It draws nothing itself. */

import {
  claimTab,
  isChatResponse,
  isCodeSuggestion,
  ProactiveClient,
  type Delivery,
  type KeyValueStorage,
  type Message,
  type Outcome,
  type Preferences,
  type Withdrawn,
} from "@proactive/client";
import { Conversation, type Keeper, type Shown } from "./conversation.js";
import { loudnessOf, textOf } from "./item_view.js";
import { addressesOf, type WidgetOptions } from "./options.js";
import { Panel } from "./panel.js";
import { teaserOf } from "./text.js";
import { QUARTER_MS, tomorrowMorning } from "./times.js";
import { needsConnect, stateLine, troubleOf } from "./words.js";

const APP = "web";
const TITLE = "Assistant";
/** The longest that a browser's timer waits. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** A widget at work, from `start` to `stop`. */
export class Widget {
  readonly ready: Promise<ProactiveClient>;
  private readonly panel: Panel;
  private readonly conversation: Conversation;
  private readonly app: string;
  private readonly expiries = new Map<string, number>();
  /** What has been written so far of answers, by what they answer, until it is drawn. */
  private readonly writing = new Map<string, string>();
  private client: ProactiveClient | undefined;
  private preferences: Preferences | undefined;
  private waking: number | undefined;
  private isStopped = false;
  private readonly looked = (): void => this.see();

  /** `origin`: where the script came from. `heard` is called with every frame of a message, before it is shown. */
  constructor(
    root: ShadowRoot,
    private readonly options: WidgetOptions,
    origin: string,
    private readonly heard: (message: Message) => void,
  ) {
    this.app = options.app ?? APP;
    const addresses = addressesOf(options, origin);
    this.conversation = new Conversation(
      options.keep === false ? undefined : keeper("sessionStorage"),
      `proactive:${this.app}:said:${options.user ?? ""}`,
    );
    this.panel = new Panel(root, options.title ?? TITLE, this.deeds(), this.moves(), this.wishes());
    for (const item of this.conversation.all()) {
      this.panel.draw(item);
      if (item.kind === "message" && item.fate === undefined) this.expire(item);
    }
    document.addEventListener("visibilitychange", this.looked);
    this.showState();
    this.showWishes();
    this.see();
    if (options.open === true) this.panel.open(false);
    this.ready = this.start(addresses);
  }

  open(): void {
    this.panel.open();
  }

  close(): void {
    this.panel.close();
  }

  /** Let go of the connection and of the page. */
  stop(): void {
    this.isStopped = true;
    document.removeEventListener("visibilitychange", this.looked);
    for (const timer of [...this.expiries.values(), this.waking]) clearTimeout(timer);
    this.client?.disconnect();
  }

  /** Forget all that is kept here: for when somebody signs out. */
  forget(): void {
    for (const { id } of this.conversation.all()) this.panel.erase(id);
    this.conversation.clear();
    this.client?.forget();
    if (this.options.user === undefined) keeper("localStorage")?.removeItem(this.nameKey);
    this.see();
  }

  private async start(addresses: ReturnType<typeof addressesOf>): Promise<ProactiveClient> {
    const tab = await claimTab(this.app);
    const { token, tokenUrl } = this.options;
    const asked = token ?? (tokenUrl === undefined ? undefined : () => fetchToken(tokenUrl));
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
    const client = new ProactiveClient({
      ...tab,
      ...addresses,
      ...(asked === undefined ? { user: this.options.user ?? this.madeUpName() } : { token: asked }),
      ...(timeZone ? { timezone: timeZone } : {}),
    });
    this.client = client;
    client.on("state", () => this.showState());
    client.on("message", (message) => this.take(message));
    client.on("chatDelta", ({ to, text }) => this.write(to, text));
    client.on("chatFailed", ({ to, message }) => this.trouble(to, message));
    client.on("withdrawn", (frame) => this.withdraw(frame));
    client.on("preferences", (frame) => {
      this.preferences = frame;
      this.showWishes();
    });
    client.on("settled", ({ id, delivery }) => this.settled(id, delivery));
    this.settleWhatIsKept(client);
    if (!this.isStopped) client.connect();
    this.showState();
    this.see();
    return client;
  }

  /** What was said on an earlier page and is not in the queue any more has got through. */
  private settleWhatIsKept(client: ProactiveClient): void {
    const queued = new Set(client.queued.map(({ id }) => id));
    for (const item of this.conversation.all()) {
      if (item.kind === "said" && item.isWaiting && !queued.has(item.id)) this.put({ ...item, isWaiting: false });
    }
  }

  // What comes

  private take(message: Message): void {
    this.heard(message);
    if (isChatResponse(message)) {
      this.answerWith(message.to ?? message.id, message.message, false);
      return;
    }
    if (this.conversation.get(message.id) !== undefined) return;
    const item: Shown = { kind: "message", id: message.id, frame: message, isSeen: false };
    // One without a text is for the page, which hears of it.
    if (textOf(item) === "" && !isCodeSuggestion(message)) return;
    this.put(item);
    this.expire(item);
    if (!this.panel.isOpen && loudnessOf(item) !== "notification") this.panel.announce(teaserOf(textOf(item)));
    this.see();
  }

  /** Pieces of an answer come faster than anybody reads: they are drawn with the next frame of the screen. */
  private write(to: string, text: string): void {
    const isDue = this.writing.size > 0;
    this.writing.set(to, text);
    if (isDue) return;
    requestAnimationFrame(() => {
      for (const [one, latest] of this.writing) this.answerWith(one, latest, true);
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
    const item = this.conversation.get(id);
    if (item?.kind !== "message" || item.fate !== undefined) return;
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
        const now = this.conversation.get(item.id);
        if (now?.kind !== "message" || now.fate !== undefined) return;
        if (expiresAt * 1000 > this.now()) this.expire(now);
        else this.put({ ...now, fate: "expired", isSeen: true });
        this.see();
      },
      Math.min(Math.max(wait, 0), TIMER_MAX_MS),
    );
    clearTimeout(this.expiries.get(item.id));
    this.expiries.set(item.id, Number(timer));
  }

  // What is done

  private deeds(): ConstructorParameters<typeof Panel>[2] {
    return {
      now: () => this.now(),
      answer: (item, response) => this.answer(item, response),
      dismiss: (item) => this.dismiss(item),
      mute: (item) => {
        this.outcome(item, "muted");
        this.put({ ...this.current(item), fate: "muted" });
        this.see();
        this.panel.announce("You will not hear from this rule again");
      },
      opened: (item) => this.outcome(item, "engaged"),
      copied: (succeeded) => this.panel.announce(succeeded ? "Copied" : "Selected, copy it with the keyboard"),
    };
  }

  private moves(): ConstructorParameters<typeof Panel>[3] {
    return {
      say: (text) => void this.say(text),
      toggled: () => this.see(),
      reconnect: () => this.client?.connect(),
      dismiss: (item) => this.dismiss(item),
    };
  }

  private wishes(): ConstructorParameters<typeof Panel>[4] {
    return {
      level: (level) => this.prefer({ level }),
      snooze: (how) => {
        const until = how === "quarter" ? this.now() + QUARTER_MS : tomorrowMorning(this.now());
        this.prefer({ snoozedUntil: how === "wake" ? null : new Date(until).toISOString() });
      },
      unmute: (name) => this.prefer({ unmute: [name] }),
    };
  }

  private prefer(change: Parameters<ProactiveClient["prefer"]>[0]): void {
    void this.ready.then((client) => {
      client.prefer(change);
      this.showState();
    });
  }

  async say(text: string): Promise<Delivery> {
    const client = await this.ready;
    const { id, delivery } = client.chat(text);
    this.put({ kind: "said", id, text, isWaiting: true });
    this.showState();
    return delivery;
  }

  private answer(item: Shown, response: string): void {
    const told = this.client?.answer(item.frame, response);
    if (told === undefined) return;
    this.put({ ...this.current(item), fate: "answered", response });
    this.panel.announce(`You answered: ${teaserOf(response)}`);
    this.see();
    void told.delivery.then((delivery) => {
      const trouble = troubleOf(delivery);
      const now = this.conversation.get(item.id);
      if (trouble !== undefined && now?.kind === "message") this.put({ ...now, trouble });
    });
  }

  private dismiss(item: Shown): void {
    this.outcome(item, "dismissed");
    this.remove(item.id);
    this.see();
  }

  private outcome(item: Shown, outcome: Outcome["outcome"]): void {
    this.client?.outcome(item, outcome);
  }

  /** All that is open to be read has been seen; the rest is counted. */
  private see(): void {
    const isLooking = this.panel.isOpen && document.visibilityState === "visible";
    const unread: Shown[] = [];
    for (const item of this.conversation.all()) {
      if (item.kind !== "message" || item.isSeen) continue;
      if (!isLooking || this.client === undefined) unread.push(item);
      else {
        this.outcome(item, "seen");
        // Nothing of it looks different, so it is not drawn anew.
        this.conversation.put({ ...item, isSeen: true });
      }
    }
    this.panel.showUnread(unread);
  }

  // What is shown

  private put(item: Parameters<Conversation["put"]>[0]): void {
    const beyond = this.conversation.put(item);
    this.panel.draw(item);
    for (const id of beyond) this.panel.erase(id);
  }

  private remove(id: string): void {
    clearTimeout(this.expiries.get(id));
    this.expiries.delete(id);
    this.conversation.remove(id);
    this.panel.erase(id);
  }

  private current(item: Shown): Shown {
    const known = this.conversation.get(item.id);
    return known?.kind === "message" ? known : item;
  }

  private showState(): void {
    const state = this.client?.state ?? { state: "reconnecting", reason: "starting" };
    this.panel.showState(state.state, stateLine(state, this.client?.pending ?? 0), needsConnect(state));
  }

  private showWishes(): void {
    const now = this.now();
    this.panel.settings.show(this.preferences, now);
    clearTimeout(this.waking);
    const until = (this.preferences?.snoozedUntil ?? 0) * 1000;
    if (until > now) this.waking = Number(setTimeout(() => this.showWishes(), Math.min(until - now, TIMER_MAX_MS)));
  }

  private now(): number {
    return this.client?.serverNow() ?? Date.now();
  }

  private get nameKey(): string {
    return `proactive:${this.app}:user`;
  }

  /** The same in all tabs of this browser, so that they are one user's devices. */
  private madeUpName(): string {
    const storage = keeper("localStorage");
    const made = `guest-${Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
    try {
      const known = storage?.getItem(this.nameKey);
      if (typeof known === "string" && /^guest-[0-9a-f]{16}$/.test(known)) return known;
      storage?.setItem(this.nameKey, made);
      // Read again: of two tabs that begin at once, one has the last word.
      return storage?.getItem(this.nameKey) ?? made;
    } catch {
      return made;
    }
  }
}

function keeper(name: "localStorage" | "sessionStorage"): (Keeper & KeyValueStorage) | undefined {
  try {
    // Asking for it throws where the browser forbids it.
    return window[name];
  } catch {
    return undefined;
  }
}

async function fetchToken(url: string): Promise<string> {
  const reply = await fetch(url, { credentials: "same-origin", cache: "no-store" });
  if (!reply.ok) throw new Error(`expected a token of ${url}, got status ${reply.status}`);
  return (await reply.text()).trim();
}
