/**
 * The client of this window, made anew when the settings or the token change, and what it keeps. It shows nothing:
 * there is one conversation at a time, which it gives to `show`.
 */

import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { ProactiveClient, type Activity, type ClientEvent, type Delivery, type Hint } from "@proactive/client";
import { Conversation, type Item } from "@proactive/widget/conversation.js";
import { Talk, type View } from "@proactive/widget/talk.js";
import { troubleOf } from "@proactive/widget/words.js";
import WebSocket from "ws";
import { subjectOf, tokenKey } from "./addresses.js";
import type { ChannelLog } from "./log.js";
import { BEAT_MS, claimLeftPlace, claimPlace, emptyFreePlaces, isOwnPlaceHeld, keptName, type Place } from "./place.js";
import type { ConnectionSettings } from "./settings.js";
import { FileStorage } from "./storage.js";

/** Of what happens before the client is there. */
const EARLY_MAX = 100;
/** For the former process of a window that is loaded anew, and how often it is looked for. */
const PATIENCE_MS = 3000;
const LOOK_MS = 100;
/** Before whose conversation it is. */
const SAID = "proactive:vscode:said:";
const DEVICE = /^[0-9a-f]{16}$/;
const GUEST = /^guest-[0-9a-f]{16}$/;

export interface ConnectionOptions {
  /** The folder for all windows. */
  readonly root: string;
  /** What makes this window the same after a restart. */
  readonly window: string;
  readonly log: ChannelLog;
  readonly settings: () => ConnectionSettings;
  /** The token for the server of these settings, undefined where there is none. */
  readonly token: (settings: ConnectionSettings) => Promise<string | undefined>;
  /** Tell of hints; what it returns stops that. */
  readonly hints: (tell: (hint: Hint) => void) => () => void;
  /** Whether the user does not want an event to be told, as things are now. */
  readonly isUnwanted: (event: ClientEvent) => boolean;
  readonly view: View;
  /** `trouble`: what is wrong with the settings, so that there is no connection. */
  readonly show: (talk: Talk, trouble: string | undefined) => void;
}

export class Connection {
  private place: Place | undefined;
  /** Another place of this window, to which it goes with the next start. */
  private former: Place | undefined;
  private storage = new FileStorage(undefined);
  private client: ProactiveClient | undefined;
  private talk: Talk | undefined;
  private endings: (() => void)[] = [];
  private early: Activity[] = [];
  private starts = 0;
  private clientId = "";
  private isOver = false;
  private isLettingGo = false;
  /** When there is a place, or none for sure. */
  private settled: Promise<void>;
  private readonly beat: ReturnType<typeof setInterval>;

  constructor(private readonly options: ConnectionOptions) {
    this.settled = this.settle();
    this.beat = setInterval(() => this.stay(), BEAT_MS);
  }

  /** Connect with the settings and the token as they are now. Of calls that overlap the last one counts. */
  async start(): Promise<void> {
    this.starts += 1;
    const start = this.starts;
    const settings = this.options.settings();
    const token = await this.options.token(settings);
    await this.settled;
    if (this.isOver || start !== this.starts) return;
    this.letGo();
    this.goBack();
    if (settings.trouble === undefined) this.place?.serve(serverOf(settings));
    const user = settings.user === "" ? this.madeUpName() : settings.user;
    const said = token === undefined ? user : subjectOf(token);
    const conversation = new Conversation(this.storage, SAID + said);
    const client = this.clientWith(settings, token, user);
    this.client = client;
    // The user may have changed their mind while nobody was there to hear of it.
    this.dropUnwanted();
    this.talk = new Talk(conversation, this.options.view);
    this.listen(client, SAID + said);
    this.options.show(this.talk, settings.trouble);
    if (settings.trouble === undefined) client.connect();
    else this.options.log.warn(settings.trouble);
    this.talk.start(client);
    for (const event of this.early.splice(0)) this.tell(event);
  }

  /** Tell of something that happened. */
  tell(event: Activity): void {
    if (this.options.isUnwanted(event)) return;
    if (this.client !== undefined) this.client.send(event);
    else if (this.early.length < EARLY_MAX) this.early.push(event);
  }

  /** The user wants less to be told than before: what waits of it is not told either. */
  dropUnwanted(): void {
    this.isLettingGo = true;
    this.client?.drop((event) => this.options.isUnwanted(event));
    this.isLettingGo = false;
  }

  /** Forget all that is kept on this machine, but for what another window still works with. */
  forget(): void {
    this.isLettingGo = true;
    this.talk?.forget();
    this.isLettingGo = false;
    this.storage.clear();
    emptyFreePlaces(this.options.root);
  }

  /** Let go of the connection, in such a way that the session can be resumed, and of the place. */
  dispose(): void {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.beat);
    this.letGo();
    this.storage.close();
    this.place?.release();
    this.former?.release();
  }

  /** Nobody is told of it: another takes its place, or the window goes. */
  private letGo(): void {
    this.talk?.stop();
    for (const end of this.endings.splice(0)) end();
    this.client?.disconnect();
  }

  private clientWith(settings: ConnectionSettings, token: string | undefined, user: string): ProactiveClient {
    const { webSocketUrl, httpUrl, trouble } = settings;
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
    return new ProactiveClient({
      clientId: this.clientId,
      ...(webSocketUrl === undefined ? {} : { webSocketUrl }),
      ...(httpUrl === undefined ? {} : { httpUrl }),
      // It is never connected, and keeps what is said until there is an address.
      ...(trouble === undefined ? {} : { httpUrl: "http://address.invalid" }),
      ...(token === undefined ? { user } : { token: async () => (await this.options.token(settings)) ?? token }),
      ...(timeZone ? { timezone: timeZone } : {}),
      storage: this.storage,
      platform: { WebSocket, listen: this.options.hints },
    });
  }

  /** `key`: of the conversation that is shown. */
  private listen(client: ProactiveClient, key: string): void {
    const { log } = this.options;
    // What has waited since before may have been said by another.
    const chats = new Set(client.queued.flatMap(({ id, event }) => (event.type === "chat_message" ? [id] : [])));
    let hasDropped = false;
    this.hurryWhileAway(client);
    this.endings.push(
      client.on("state", (state) => {
        this.hurryWhileAway(client);
        log.state(state);
      }),
      client.on("problem", (problem) => log.problem(problem)),
      client.on("settled", ({ id, delivery }) => {
        if (delivery.status !== "dropped") return;
        if (chats.has(id)) this.notSent(id, delivery, key);
        // What the user has let go of is no news to them.
        if (hasDropped || this.isLettingGo) return;
        hasDropped = true;
        log.warn("some of what waited is not sent: too much was waiting, or it was said in another name");
      }),
    );
  }

  /** Who is shown that something waits may count on it, whatever becomes of this process. */
  private hurryWhileAway({ state: { state } }: ProactiveClient): void {
    this.storage.hurry(state !== "connected" && state !== "fallback");
  }

  /** Mark it in the conversation in which it was said, which is not shown now: there it would count as sent. */
  private notSent(id: string, delivery: Delivery, shown: string): void {
    for (const key of this.storage.keys()) {
      if (!key.startsWith(SAID) || key === shown) continue;
      const conversation = new Conversation(this.storage, key);
      const item = conversation.get(id);
      const trouble = troubleOf(delivery);
      if (item?.kind === "said" && trouble !== undefined) conversation.put({ ...item, isWaiting: false, trouble });
    }
  }

  private async settle(): Promise<void> {
    const { root, window, log } = this.options;
    for (let waited = 0; isOwnPlaceHeld(root, window) && waited < PATIENCE_MS; waited += LOOK_MS) await sleep(LOOK_MS);
    if (this.isOver) return;
    this.use(claimPlace(root, window, serverOf(this.options.settings())));
    if (this.place === undefined)
      log.warn("nothing can be kept on this machine: what waits is gone when the window is");
  }

  private use(place: Place | undefined): void {
    const { root, log } = this.options;
    const random = (): string => randomBytes(8).toString("hex");
    this.place = place;
    this.clientId =
      place === undefined ? `vscode-${random()}` : `vscode-${keptName(root, "device", DEVICE, random)}-${place.number}`;
    this.storage = new FileStorage(place?.folder, (cause) => log.warn(`what waits cannot be kept: ${String(cause)}`));
  }

  private stay(): void {
    if (this.place === undefined) return;
    if (this.place.beat()) this.lookBack();
    else this.moveOut();
  }

  /** A window that slept for long may find that another has its place. */
  private moveOut(): void {
    this.storage.abandon();
    this.letGo();
    this.place = undefined;
    this.settled = this.settle();
    void this.start();
  }

  /**
   * Where a former process lived on for longer than anybody waits, this window began in another place. When that process
   * is gone, what was said and what waits there is this window's again, as soon as nothing is under way here.
   */
  private lookBack(): void {
    const { root, window, settings } = this.options;
    if (this.former !== undefined || this.isBusy()) return;
    this.former = claimLeftPlace(root, window, serverOf(settings()));
    if (this.former !== undefined) void this.start();
  }

  /** With the conversation. Between two clients. */
  private goBack(): void {
    const { former, place, storage } = this;
    this.former = undefined;
    if (former === undefined || place === undefined) return;
    if (this.isBusy()) return former.release();
    this.use(former);
    for (const key of storage.keys().filter((one) => one.startsWith(SAID))) {
      const conversation = new Conversation(this.storage, key);
      for (const item of new Conversation(storage, key).all()) conversation.put(item);
    }
    this.storage.flush();
    storage.clear();
    storage.close();
    place.leave();
  }

  private isBusy(): boolean {
    const isWriting = (item: Item): boolean => item.kind === "answer" && item.isWriting;
    return this.client === undefined || this.client.queued.length > 0 || (this.talk?.items ?? []).some(isWriting);
  }

  /** The same in all windows of this machine, so that they are one user's devices. */
  private madeUpName(): string {
    return keptName(this.options.root, "guest", GUEST, () => `guest-${randomBytes(8).toString("hex")}`);
  }
}

/** Names the server of these addresses without saying them. */
function serverOf(settings: ConnectionSettings): string {
  return createHash("sha256").update(tokenKey(settings)).digest("hex").slice(0, 32);
}
