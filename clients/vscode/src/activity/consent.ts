/**
 * Asks whether activity may be reported, once on this machine, and lets the answer be changed. The answer is the setting
 * `proactive.activity.enabled`; beside it, only that the question was asked is kept. It reports nothing.
 */

import { together, type Disposable } from "./editor.js";

export const ASKED = "activity.asked";

/** What it needs of the editor. */
export interface Asking {
  /** A notification with buttons; undefined where it is closed. */
  ask(text: string, ...buttons: readonly string[]): Thenable<string | undefined>;
  /** A list to pick from; undefined where nothing is. */
  pick(
    title: string,
    items: readonly { readonly label: string; readonly description: string }[],
  ): Thenable<string | undefined>;
  isTelemetryEnabled(): boolean;
  onTelemetry(listener: () => void): Disposable;
  /** Whether somebody is at this window. */
  isFocused(): boolean;
  /** The window has the focus, or has lost it. */
  onFocus(listener: () => void): Disposable;
  /** Whether the user allows it; undefined as long as they have said nothing. */
  choice(): boolean | undefined;
  choose(isAllowed: boolean): Thenable<void>;
  wasAsked(): boolean;
  asked(): Thenable<void>;
  /** Show what is sent. */
  explain(): Thenable<void>;
  openSettings(): Thenable<void>;
}

export const ALLOW = "Allow";
export const NOT_NOW = "Not now";
export const WHAT = "What is sent";
export const REPORT = "Report my activity";
export const SILENT = "Report nothing of it";
export const SETTINGS = "Choose what is reported…";
/** No longer than the 240 characters of a notification: see `plain`. */
const QUESTION =
  "May Proactive tell your server what you do in the editor, so that it can speak up when it helps? Names of files, tests and programs and how they " +
  "turn out, no text of yours. The command “What Is Reported of My Activity?” changes it later.";
const WHERE = " (the editor's own telemetry setting is off, so nothing is)";

export class Consent implements Disposable {
  private readonly subscription: Disposable;
  private isAsking = false;
  private isOver = false;

  constructor(private readonly asking: Asking) {
    const ask = () => void this.askOnce();
    this.subscription = together(asking.onTelemetry(ask), asking.onFocus(ask));
  }

  dispose(): void {
    this.isOver = true;
    this.subscription.dispose();
  }

  /**
   * Ask, unless that was done, the user has said it in their settings, or nothing could be told anyway. In a window without the focus it
   * waits, for of several that are restored at once one asks.
   */
  async askOnce(): Promise<void> {
    const { asking } = this;
    if (this.isOver || this.isAsking || !asking.isFocused()) return;
    if (asking.wasAsked() || asking.choice() !== undefined || !asking.isTelemetryEnabled()) return;
    this.isAsking = true;
    try {
      const first = asking.ask(QUESTION, ALLOW, NOT_NOW, WHAT);
      // Now, not when it is answered: a toast that nobody touches is "not now", too.
      await asking.asked();
      let answer = await first;
      while (answer === WHAT && !this.isOver) {
        await asking.explain();
        answer = await asking.ask(QUESTION, ALLOW, NOT_NOW); // the first one has gone
      }
      if (answer === ALLOW && !this.isOver) await asking.choose(true);
    } finally {
      this.isAsking = false;
    }
  }

  /** The command `proactive.activityConsent`. */
  async change(): Promise<void> {
    const { asking } = this;
    const where = asking.isTelemetryEnabled() ? "" : WHERE;
    const now = (isIt: boolean) => (isIt ? "as now" : "");
    const isAllowed = asking.choice() === true;
    const picked = await asking.pick(`What Proactive reports of your activity${where}`, [
      { label: REPORT, description: now(isAllowed) },
      { label: SILENT, description: now(!isAllowed) },
      { label: SETTINGS, description: "by reporter" },
      { label: WHAT, description: "every event and its fields" },
    ]);
    if (picked === WHAT) return asking.explain();
    if (picked === SETTINGS) return asking.openSettings();
    if (picked !== REPORT && picked !== SILENT) return;
    await asking.asked();
    await asking.choose(picked === REPORT);
  }
}
