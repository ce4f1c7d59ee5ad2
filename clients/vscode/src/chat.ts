/**
 * Shows one conversation everywhere in the editor: in the view, as toasts, in the status bar. It outlives the view, and
 * each connection. What the user does is handed on to the conversation; code is the business of `Suggestions`.
 */

import * as vscode from "vscode";
import { isCodeSuggestion, type ConnectionState, type Preferences } from "@proactive/client";
import type { Item, Shown } from "@proactive/widget/conversation.js";
import type { Talk, View } from "@proactive/widget/talk.js";
import type { FirstWindow } from "./first_window.js";
import type { FromPanel, ToPanel } from "./messages.js";
import type { PanelProvider } from "./panel_provider.js";
import type { SuggestionEnds, Suggestions } from "./parts.js";
import type { StatusBar } from "./status_bar.js";
import type { Status } from "./status_text.js";
import { Toasts } from "./toasts.js";

/** Pieces of an answer are drawn so far apart, in milliseconds: a frame of a screen would be too fine through the host. */
const SOON_MS = 50;
const EARLY_MAX = 100;

export class Chat implements View, SuggestionEnds {
  private talk: Talk | undefined;
  private trouble: string | undefined;
  private isChanging = false;
  private suggestions: Suggestions | undefined;
  private readonly toasts: Toasts;
  private state: Extract<ToPanel, { kind: "state" }> = {
    kind: "state",
    state: "reconnecting",
    line: "Connecting…",
    canReconnect: false,
  };
  private preferences: Preferences | undefined;
  private unread: readonly Shown[] = [];
  /** What the user did before there was a conversation: the secret storage takes its time on some machines. */
  private readonly early: FromPanel[] = [];

  /** `reconnect`: the user wants to try again. `windows`: which of them shows a toast. */
  constructor(
    private readonly panel: PanelProvider,
    private readonly statusBar: StatusBar,
    private readonly reconnect: () => void,
    windows: FirstWindow,
  ) {
    this.toasts = new Toasts({
      message: (id) => this.talk?.message(id),
      answer: (id, response) => this.talk?.answer(id, response),
      show: (id) => void this.panel.reveal(id),
      isViewVisible: () => this.panel.isVisible,
      isFirst: (id) => windows.take(id),
    });
    panel.listen({ message: (message) => this.take(message), looked: () => this.looked() });
    this.showStatus();
  }

  /** Where code goes. */
  useSuggestions(suggestions: Suggestions): void {
    this.suggestions = suggestions;
  }

  /** Show this one from here on, and no other. `trouble`: why there is no connection, where that is known already. */
  useTalk(talk: Talk, trouble: string | undefined): void {
    this.talk?.stop();
    this.talk = talk;
    this.trouble = trouble;
    this.preferences = undefined;
    // The view has all of it at once: who reads stays where they are, and nobody is told of it as of something new.
    this.isChanging = true;
    talk.show();
    this.isChanging = false;
    this.panel.post({ kind: "all", items: talk.items, now: talk.now() });
    // When the client is there as well.
    for (const message of this.early.splice(0)) queueMicrotask(() => this.take(message));
  }

  /** What holds now, for the status bar's list. */
  get status(): Status {
    const until = this.preferences?.snoozedUntil;
    return {
      level: this.preferences?.level,
      snoozedUntil: until === undefined || until === null ? null : until * 1000,
      unread: this.unread.length,
      line: this.state.line,
    };
  }

  /** Epoch milliseconds by the server's clock. */
  now(): number {
    return this.talk?.now() ?? Date.now();
  }

  /** Whether somebody looks at the view may have changed. */
  looked(): void {
    this.talk?.see();
    this.toasts.proceed();
  }

  /** Do what the user did in the view, or by a command. */
  take(message: FromPanel): void {
    const { talk } = this;
    if (talk === undefined) {
      if (message.kind !== "ready" && this.early.length < EARLY_MAX) this.early.push(message);
      return;
    }
    switch (message.kind) {
      case "ready":
        return this.showAll(talk);
      case "reconnect":
        return this.reconnect();
      case "say":
        return void talk.say(message.text);
      case "answer":
        return talk.answer(message.id, message.response);
      case "dismiss":
        return talk.dismiss(message.id);
      case "mute":
        return talk.mute(message.id);
      case "opened":
        return talk.opened(message.id);
      case "accept":
      case "reject":
      case "compare":
        return this.decide(talk, message.kind, message.id);
      case "insert":
        return void this.suggestions?.insert(message.code, message.language);
      case "snooze":
        return talk.snooze(message.how);
      case "level":
        return talk.level(message.level);
      case "unmute":
        return talk.unmute(message.name);
    }
  }

  private decide(talk: Talk, what: "accept" | "reject" | "compare", id: string): void {
    const item = talk.message(id);
    if (item?.fate === undefined && item !== undefined && isCodeSuggestion(item.frame)) {
      void this.suggestions?.[what](item.frame);
    }
  }

  // What becomes of suggested code

  accepted(id: string): void {
    this.talk?.accepted(id);
  }

  rejected(id: string): void {
    this.talk?.dismiss(id);
  }

  // What the conversation shows

  draw(item: Item): void {
    if (!this.isChanging) this.panel.post({ kind: "put", item });
    if (item.kind === "message" && item.fate !== undefined) this.suggestions?.withdrawn(item.id);
  }

  erase(id: string): void {
    this.panel.post({ kind: "erase", id });
    this.suggestions?.withdrawn(id);
  }

  arrived(item: Shown): void {
    this.toasts.arrived(item);
  }

  announce(text: string): void {
    this.panel.post({ kind: "announce", text });
  }

  showUnread(unread: readonly Shown[]): void {
    this.unread = unread;
    this.panel.showBadge(unread.length);
    this.showStatus();
  }

  showState(state: ConnectionState["state"], line: string, canReconnect: boolean): void {
    const { trouble } = this;
    this.state =
      trouble === undefined
        ? { kind: "state", state, line, canReconnect }
        : { kind: "state", state: "offline", line: `Offline: ${trouble}`, canReconnect: true };
    this.panel.post(this.state);
    this.showStatus();
  }

  showWishes(preferences: Preferences | undefined): void {
    this.preferences = preferences;
    this.panel.post(this.wishes());
    this.showStatus();
  }

  isLooked(): boolean {
    return this.panel.isVisible && this.panel.isReady && vscode.window.state.focused;
  }

  soon(call: () => void): void {
    setTimeout(call, SOON_MS);
  }

  private showAll(talk: Talk): void {
    this.panel.post({ kind: "all", items: talk.items, now: talk.now() });
    this.panel.post(this.state);
    this.panel.post(this.wishes());
    talk.see();
  }

  private wishes(): Extract<ToPanel, { kind: "wishes" }> {
    const { level, snoozedUntil } = this.status;
    return { kind: "wishes", level: level ?? "normal", snoozedUntil, muted: this.preferences?.muted ?? [] };
  }

  private showStatus(): void {
    this.statusBar.show(this.status, this.now());
  }
}
