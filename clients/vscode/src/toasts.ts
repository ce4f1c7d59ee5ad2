/** Shows in a corner what may not wait until somebody opens the view. What is pressed there is told. */

import * as vscode from "vscode";
import type { Shown } from "@proactive/widget/conversation.js";
import { plain } from "./plain_text.js";
import { toastSetting } from "./settings.js";
import { Corner, CORNER_MAX, toastFor } from "./toast_choice.js";

const IDS_MAX = 500;

/** A button. */
interface Pressed extends vscode.MessageItem {
  /** As the server has it; undefined: to show the message. */
  readonly response?: string;
}

export interface ToastDeeds {
  /** The message as it is now. */
  message(id: string): Shown | undefined;
  answer(id: string, response: string): void;
  /** Open the view at this message. */
  show(id: string): void;
  isViewVisible(): boolean;
  /** Whether no other window has shown it; from here on this one has. */
  isFirst(id: string): boolean;
}

export class Toasts {
  /** Each shows itself once. */
  private readonly had = new Set<string>();
  /** Of those that came while nobody was at this window. */
  private waiting: readonly string[] = [];
  private readonly corner = new Corner();

  constructor(private readonly deeds: ToastDeeds) {}

  /** A message has come. In a window without the focus it waits: the one with the focus has it too, and is the first then. */
  arrived(item: Shown): void {
    this.waiting = [...this.waiting, item.id].slice(-CORNER_MAX);
    this.proceed();
  }

  /** The window has the focus now, or the view is gone. */
  proceed(): void {
    if (!vscode.window.state.focused) return;
    const ids = this.waiting;
    this.waiting = [];
    // Before somebody's eyes it needs no toast, also not later and in no other window.
    const isVisible = this.deeds.isViewVisible();
    for (const id of ids) {
      if (isVisible) this.deeds.isFirst(id);
      else this.offer(id);
    }
  }

  private offer(id: string): void {
    const item = this.deeds.message(id);
    const toast = item === undefined ? undefined : toastFor(item, toastSetting());
    if (toast === undefined || this.had.has(id) || !this.corner.take(id, performance.now())) return;
    this.had.add(id);
    for (const first of this.had.size > IDS_MAX ? this.had : []) {
      this.had.delete(first);
      break;
    }
    if (!this.deeds.isFirst(id)) {
      this.corner.leave(id);
      return;
    }
    const answers: readonly Pressed[] = toast.options.map((response) => ({ title: plain(response), response }));
    const show: Pressed = { title: "Show" };
    void vscode.window.showInformationMessage(plain(toast.text), ...answers, show).then((pressed) => {
      this.corner.leave(id);
      // To close it is to leave it for later.
      if (pressed === undefined) return;
      const isOpen = this.deeds.message(id)?.fate === undefined && this.deeds.message(id) !== undefined;
      // What was pressed too late has no effect; the view says what has become of it.
      if (pressed.response === undefined || !isOpen) this.deeds.show(id);
      else this.deeds.answer(id, pressed.response);
    });
  }
}
