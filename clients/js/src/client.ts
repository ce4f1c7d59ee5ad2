/** What an application has in hand: one device of one user, connected to a proactive server. */

import { TRANSPORTS, type ConnectionState, type Transport } from "./states.js";
import { Driver } from "./driver.js";
import type { ChatDelta, ChatFailure, Delivery, Effect } from "./effects.js";
import { Emitter } from "./emitter.js";
import type {
  Activity,
  BackendMessage,
  ChatMessage,
  ChatResponse,
  ClientEvent,
  CodeSuggestion,
  Outcome,
  OtherMessage,
  Preferences,
  PreferencesChange,
  ServerMessage,
  Withdrawn,
} from "./frames.js";
import type { Handed } from "./inbox.js";
import type { OpenLink } from "./link.js";
import { openLink, possible } from "./open_link.js";
import { platformWith, type Platform } from "./platform.js";
import { Session, type Introduction } from "./session.js";
import { Shelf, type KeyValueStorage } from "./storage.js";

/** How to connect. At least one of the two addresses is needed. */
export interface ClientOptions extends Introduction {
  /**
   * Which device or tab it is: the same from one start to the next, and of no two at once, for the later one would
   * throw the earlier one out. See `claimTab` for tabs.
   */
  readonly clientId: string;
  /** Such as `ws://127.0.0.1:7778`; `wss:` where the server has TLS. */
  readonly webSocketUrl?: string;
  /** Such as `http://127.0.0.1:7777`: the fallback, by server-sent events or long polling. */
  readonly httpUrl?: string;
  /** Says who the user is, where the server asks for it. A function is asked before every connection for a fresh one. */
  readonly token?: string | (() => string | Promise<string>);
  /** Where events wait and is noted what was shown, for the next start. `null` for memory alone; by default `localStorage`, where there is one. */
  readonly storage?: KeyValueStorage | null;
  /** Which ways may be taken. */
  readonly transports?: readonly Transport[];
  /** Events that wait, at most so many (1000), and so many characters of their JSON (a million). */
  readonly queue?: { readonly eventsMax?: number; readonly charactersMax?: number };
  /** What is not as in a browser: `{ WebSocket }` from the package `ws` in Node 20. */
  readonly platform?: Partial<Platform>;
  /** @internal */
  readonly openLink?: OpenLink;
}

/** What is shown to the user: a message of a rule or of the application, or an answer in the chat. */
export type Message = (ServerMessage | ChatResponse) & { readonly id: string };

/** Something that did not go as it should and that the client has coped with. For a log. */
export interface Problem {
  readonly what: "storage" | "listener" | "server";
  readonly detail: string;
}

/** What `on` can listen to. */
export interface ClientEvents {
  /** How the client is connected, whenever that changes. */
  state: ConnectionState;
  /**
   * Something to show, each once, one after the other. It counts as received when the listener has returned, or its
   * promise has settled: settle it when the message is shown or kept, not when it has been answered.
   */
  message: Message;
  /** A piece of an answer that is being written. The whole follows as a message of type `chat_response`. */
  chatDelta: ChatDelta;
  /** A chat message that cannot be answered. */
  chatFailed: ChatFailure;
  /** A message is not to be shown any more: it was answered elsewhere, or taken back. */
  withdrawn: Withdrawn;
  /** What the user wishes, whole, after the start and whenever it changes on any device. */
  preferences: Preferences;
  /** An event has come to its end; also those of an earlier start, of which nobody has the promise any more. */
  settled: { readonly id: string; readonly delivery: Delivery };
  problem: Problem;
}

/** An event that was told. */
export interface Told {
  /** Its id; an answer to a chat message names it in `to`. */
  readonly id: string;
  /** Never rejects. */
  readonly delivery: Promise<Delivery>;
}

/** One device of one user. Nothing happens before `connect`, except that events may be told. */
export class ProactiveClient {
  private readonly platform: Platform;
  private readonly session: Session;
  private readonly driver: Driver;
  private readonly emitter: Emitter<ClientEvents>;
  private readonly waiting = new Map<string, (delivery: Delivery) => void>();
  private toHand: Handed | undefined;
  private latest: ConnectionState = { state: "offline", reason: "not_started" };
  private stopListening: (() => void) | undefined;

  constructor(options: ClientOptions) {
    const { clientId, user, timezone, traits, capabilities, webSocketUrl, httpUrl, token } = options;
    const given = { user, timezone, traits, capabilities };
    const who: Introduction = {
      clientId,
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    };
    this.platform = platformWith(options.platform ?? {});
    this.emitter = new Emitter((name, cause) => {
      // A listener of problems that fails has nobody left to tell.
      if (name !== "problem") this.problem("listener", cause);
    });
    const storage = options.storage === undefined ? this.platform.storage : (options.storage ?? undefined);
    const shelf = new Shelf(storage, `proactive:${clientId}:`, (_, cause) => this.problem("storage", cause));
    this.session = new Session(who, this.platform.uniqueId(), shelf, options.queue);
    const addresses = { webSocketUrl, httpUrl };
    const transports = possible(options.transports ?? TRANSPORTS, addresses, this.platform);
    if (transports.length === 0) {
      throw new Error(
        'expected "webSocketUrl" or "httpUrl" and what it needs, got neither; in Node 20 give platform: { WebSocket } of the package ws',
      );
    }
    this.driver = new Driver({
      session: this.session,
      platform: this.platform,
      addresses,
      transports,
      openLink: options.openLink ?? openLink,
      token: token === undefined ? undefined : typeof token === "function" ? token : () => token,
      canRefreshToken: typeof token === "function",
      onState: (state) => this.changed(state),
      onEffect: (effect) => this.happened(effect),
    });
  }

  /** How it is connected now. */
  get state(): ConnectionState {
    return this.latest;
  }

  /** How many events no server has acknowledged yet. */
  get pending(): number {
    return this.session.queue.size;
  }

  /** These events, oldest first, also those of an earlier start: what to mark as waiting. */
  get queued(): readonly { readonly id: string; readonly event: ClientEvent }[] {
    return [...this.session.queue.values()].map(({ id, frame }) => ({ id, event: frame }));
  }

  /** Epoch milliseconds by the server's clock, against which `expiresAt` counts. */
  serverNow(): number {
    return this.driver.serverNow();
  }

  /** Listen. What it returns ends that. Messages wait until somebody listens to them. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (value: ClientEvents[Name]) => unknown): () => void {
    const end = this.emitter.on(name, listener);
    if (name === "message" && this.toHand !== undefined) void this.hand(this.toHand);
    return end;
  }

  /** Connect, and stay connected until `disconnect` or `leave`. Also the way back from `offline`. */
  connect(): void {
    this.stopListening ??= this.platform.listen((hint) => this.driver.hint(hint));
    this.driver.start();
  }

  /** Let go of the connection; the session stays for a while, to be resumed by `connect`. */
  disconnect(): void {
    this.stop(false);
  }

  /** The user leaves: over a WebSocket the session ends at once. Events wait for the next `connect`. */
  leave(): void {
    this.stop(true);
  }

  /** Tell of something that happened. It is kept until the server has it, over any number of connections. */
  send(event: Activity | Exclude<ClientEvent, Activity>): Told {
    const { id, effects } = this.session.tell(event, Math.round(this.platform.wallNow()));
    const delivery = new Promise<Delivery>((resolve) => this.waiting.set(id, resolve));
    for (const effect of effects) this.happened(effect);
    this.driver.pump();
    return { id, delivery };
  }

  /** Say something in the chat. The answer is a message of type `chat_response` whose `to` is the id. */
  chat(message: string, more: Pick<ChatMessage, "mode" | "context"> = {}): Told {
    return this.send({ ...more, type: "chat_message", message });
  }

  /** Answer a question. */
  answer(question: Pick<ServerMessage, "questionId" | "id">, response: string): Told {
    const questionId = question.questionId ?? question.id;
    if (questionId === undefined) throw new Error('expected a message with "questionId" or "id", got one with neither');
    return this.send({ type: "user_response", questionId, response });
  }

  /** Say what became of a message: it was seen, opened, put away; or the user wants no more of its rule. */
  outcome(message: { readonly id?: string }, outcome: Outcome["outcome"], response?: string): Told {
    if (message.id === undefined) throw new Error('expected a message with an "id", got one without');
    return this.send({ type: "outcome", id: message.id, outcome, ...(response === undefined ? {} : { response }) });
  }

  /** Say what the user wishes; each field replaces what held before. */
  prefer(change: Omit<PreferencesChange, "type" | "id" | "clientId" | "session" | "at">): Told {
    return this.send({ ...change, type: "preferences" });
  }

  /**
   * Let go of events that wait, such as those that the user does not want to be told any more. What is on its way may
   * arrive all the same.
   */
  drop(isUnwanted: (event: ClientEvent) => boolean): void {
    for (const effect of this.session.drop(isUnwanted)) this.happened(effect);
    this.driver.pump();
  }

  /** Forget all that is kept here: events that wait, what was shown. What the server knows, it still knows. */
  forget(): void {
    this.toHand = undefined;
    for (const effect of this.session.forget()) this.happened(effect);
    this.driver.pump();
  }

  private stop(isLeaving: boolean): void {
    this.stopListening?.();
    this.stopListening = undefined;
    this.driver.stop(isLeaving);
    for (const resolve of this.waiting.values()) resolve({ status: "kept" });
    this.waiting.clear();
  }

  private changed(state: ConnectionState): void {
    this.latest = state;
    void this.emitter.emit("state", state);
  }

  private happened(effect: Effect): void {
    switch (effect.kind) {
      case "hand":
        void this.hand(effect.message);
        return;
      case "settled":
        this.waiting.get(effect.id)?.(effect.delivery);
        this.waiting.delete(effect.id);
        void this.emitter.emit("settled", { id: effect.id, delivery: effect.delivery });
        return;
      case "withdrawn":
        if (this.toHand?.id === effect.frame.id) this.finish(effect.frame.id);
        void this.emitter.emit("withdrawn", effect.frame);
        return;
      case "preferences":
        void this.emitter.emit("preferences", effect.frame);
        return;
      case "delta":
        void this.emitter.emit("chatDelta", effect.delta);
        return;
      case "chat failed":
        void this.emitter.emit("chatFailed", effect.failure);
        return;
      case "problem":
        this.problem("server", `${effect.error.code}: ${effect.error.message}`);
        return;
      default:
        return;
    }
  }

  private async hand(message: Handed): Promise<void> {
    if (!this.emitter.has("message")) {
      this.toHand = message;
      return;
    }
    this.toHand = undefined;
    const hasExpired = message.expiresAt !== undefined && message.expiresAt * 1000 <= this.serverNow();
    if (!hasExpired) await this.emitter.emit("message", message);
    this.finish(message.id);
  }

  private finish(id: string): void {
    this.toHand = undefined;
    for (const effect of this.session.handled(id, this.driver.serverNow())) this.happened(effect);
    this.driver.pump();
  }

  private problem(what: Problem["what"], cause: unknown): void {
    void this.emitter.emit("problem", { what, detail: String(cause) });
  }
}

/** Whether it is a question, a suggestion or a notification. */
export function isBackendMessage(
  message: ServerMessage | ChatResponse,
): message is BackendMessage & { readonly id: string } {
  return message.type === "backend_message";
}

/** Whether it asks for an answer. */
export function isQuestion(
  message: ServerMessage | ChatResponse,
): message is (BackendMessage | OtherMessage) & { readonly id: string; readonly questionId: string } {
  return typeof message["questionId"] === "string";
}

/** Whether it offers a piece of code. */
export function isCodeSuggestion(
  message: ServerMessage | ChatResponse,
): message is CodeSuggestion & { readonly id: string } {
  return message.type === "code_suggestion";
}

/** Whether it is an answer in the chat. */
export function isChatResponse(
  message: ServerMessage | ChatResponse,
): message is ChatResponse & { readonly id: string } {
  return message.type === "chat_response";
}
