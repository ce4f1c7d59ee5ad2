/** A widget on a page: its connection, its panel, and the conversation between the two. It decides nothing of that. */

import { claimTab, ProactiveClient, type Delivery, type KeyValueStorage, type Message } from "@proactive/client";
import { Conversation, type Keeper, type Shown } from "./conversation.js";
import { addressesOf, type WidgetOptions } from "./options.js";
import { Panel } from "./panel.js";
import { Talk, type View } from "./talk.js";
import { teaserOf } from "./text.js";
import { loudnessOf, textOf } from "./words.js";

const APP = "web";
const TITLE = "Assistant";

/** A widget at work, from its making to `stop`. */
export class Widget {
  readonly ready: Promise<ProactiveClient>;
  private readonly panel: Panel;
  private readonly talk: Talk;
  private readonly app: string;
  private client: ProactiveClient | undefined;
  private isStopped = false;
  private readonly looked = (): void => this.talk.see();

  /** `origin`: where the script came from. `heard` is called with every frame of a message, before it is shown. */
  constructor(
    root: ShadowRoot,
    private readonly options: WidgetOptions,
    origin: string,
    private readonly heard: (message: Message) => void,
  ) {
    this.app = options.app ?? APP;
    const addresses = addressesOf(options, origin);
    const conversation = new Conversation(
      options.keep === false ? undefined : keeper("sessionStorage"),
      `proactive:${this.app}:said:${options.user ?? ""}`,
    );
    this.panel = new Panel(root, options.title ?? TITLE, this.deeds(), this.moves(), this.wishes());
    this.talk = new Talk(conversation, this.view());
    this.talk.show();
    document.addEventListener("visibilitychange", this.looked);
    if (options.open === true) this.panel.open(false);
    this.ready = this.start(addresses);
  }

  open(): void {
    this.panel.open();
  }

  close(): void {
    this.panel.close();
  }

  say(text: string): Promise<Delivery> {
    return this.talk.say(text);
  }

  /** Let go of the connection and of the page. */
  stop(): void {
    this.isStopped = true;
    document.removeEventListener("visibilitychange", this.looked);
    this.talk.stop();
    this.client?.disconnect();
  }

  /** Forget all that is kept here: for when somebody signs out. */
  forget(): void {
    this.talk.forget();
    if (this.options.user === undefined) keeper("localStorage")?.removeItem(this.nameKey);
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
    client.on("message", (message) => this.heard(message));
    this.talk.start(client);
    if (!this.isStopped) client.connect();
    return client;
  }

  private view(): View {
    const { panel } = this;
    return {
      draw: (item) => panel.draw(item),
      erase: (id) => panel.erase(id),
      arrived: (item) => {
        if (!panel.isOpen && loudnessOf(item) !== "notification") panel.announce(teaserOf(textOf(item)));
      },
      announce: (text) => panel.announce(text),
      showUnread: (unread) => panel.showUnread(unread),
      showState: (state, line, canReconnect) => panel.showState(state, line, canReconnect),
      showWishes: (preferences, now) => panel.settings.show(preferences, now),
      isLooked: () => panel.isOpen && document.visibilityState === "visible",
      // With the next frame of the screen.
      soon: (call) => void requestAnimationFrame(call),
    };
  }

  private deeds(): ConstructorParameters<typeof Panel>[2] {
    return {
      now: () => this.talk.now(),
      answer: ({ id }, response) => this.talk.answer(id, response),
      dismiss: ({ id }) => this.talk.dismiss(id),
      mute: ({ id }) => this.talk.mute(id),
      opened: ({ id }) => this.talk.opened(id),
      copied: (succeeded) => this.panel.announce(succeeded ? "Copied" : "Selected, copy it with the keyboard"),
    };
  }

  private moves(): ConstructorParameters<typeof Panel>[3] {
    return {
      say: (text) => void this.say(text),
      toggled: () => this.talk.see(),
      reconnect: () => this.client?.connect(),
      dismiss: ({ id }: Shown) => this.talk.dismiss(id),
    };
  }

  private wishes(): ConstructorParameters<typeof Panel>[4] {
    return {
      level: (level) => this.talk.level(level),
      snooze: (how) => this.talk.snooze(how),
      unmute: (name) => this.talk.unmute(name),
    };
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
