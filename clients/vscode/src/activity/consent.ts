/**
 * Asks whether activity may be reported, once on this machine, and lets the answer be changed. The answer is the setting
 * `proactive.activity.enabled`; beside it, only that the question was asked is kept. It reports nothing.
 */

import type { Disposable } from "./editor.js";

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
const QUESTION =
  "May Proactive tell your server what you do in the editor, so that it can speak up when it helps? Names of files, tests and programs and how they " +
  "turn out; no text of yours. The chat works without.";
const WHERE = " (the editor's own telemetry setting is off, so nothing is)";

export class Consent implements Disposable {
  private readonly subscription: Disposable;
  private isAsking = false;
  private isOver = false;

  constructor(private readonly asking: Asking) {
    this.subscription = asking.onTelemetry(() => void this.askOnce());
  }

  dispose(): void {
    this.isOver = true;
    this.subscription.dispose();
  }

  /** Ask, unless that was done, the user has said it in their settings, or nothing could be told anyway. */
  async askOnce(): Promise<void> {
    const { asking } = this;
    if (this.isAsking || asking.wasAsked() || asking.choice() !== undefined || !asking.isTelemetryEnabled()) return;
    this.isAsking = true;
    try {
      let answer = await asking.ask(QUESTION, ALLOW, NOT_NOW, WHAT);
      while (answer === WHAT && !this.isOver) {
        await asking.explain();
        answer = await asking.ask(QUESTION, ALLOW, NOT_NOW); // the first one has gone
      }
      // Closed is no; and it is not asked a second time.
      if (this.isOver) return;
      await asking.asked();
      if (answer === ALLOW) await asking.choose(true);
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
