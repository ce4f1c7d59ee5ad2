/** The dial in the status bar. It shows what holds; what is picked is told. */

import * as vscode from "vscode";
import type { Level } from "@proactive/client";
import { LEVELS, statusText, type Status } from "./status_text.js";

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("proactive.dial", vscode.StatusBarAlignment.Right, 100);

  private shown: string | undefined;

  constructor() {
    this.item.name = "Proactive";
    this.item.command = "proactive.level";
    this.item.show();
  }

  show(status: Status, now: number): void {
    const { text, label } = statusText(status, now);
    if (label === this.shown) return;
    this.shown = label;
    this.item.text = text;
    this.item.tooltip = `${status.line}\nHow much do you want to hear?`;
    this.item.accessibilityInformation = { label, role: "button" };
  }

  dispose(): void {
    this.item.dispose();
  }
}

export type Wish =
  | { readonly kind: "level"; readonly level: Level }
  | { readonly kind: "snooze"; readonly how: "quarter" | "tomorrow" | "wake" };

/** Let the user pick; undefined where they pick nothing. */
export function pickWish(status: Status, now: number): Promise<Wish | undefined> {
  type Item = vscode.QuickPickItem & { readonly wish?: Wish };
  const isSnoozed = status.snoozedUntil !== null && status.snoozedUntil > now;
  const levels: readonly Item[] = LEVELS.map(([level, label]) => ({
    label,
    ...(level === status.level ? { description: "now" } : {}),
    detail: DETAILS[level],
    wish: { kind: "level", level },
  }));
  const snoozes: readonly Item[] = [
    { label: "For a while", kind: vscode.QuickPickItemKind.Separator },
    ...(isSnoozed ? [{ label: "Wake up", wish: { kind: "snooze", how: "wake" } as const }] : []),
    { label: "Quiet for 15 minutes", wish: { kind: "snooze", how: "quarter" } },
    { label: "Quiet until tomorrow", wish: { kind: "snooze", how: "tomorrow" } },
  ];
  const pick = vscode.window.createQuickPick<Item>();
  pick.title = "Proactive";
  pick.placeholder = "How much do you want to hear?";
  pick.items = [...levels, ...snoozes];
  // Who only presses Enter changes nothing.
  pick.activeItems = levels.filter(({ description }) => description !== undefined);
  return new Promise((resolve) => {
    pick.onDidAccept(() => {
      resolve(pick.selectedItems[0]?.wish);
      pick.hide();
    });
    pick.onDidHide(() => {
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
  });
}

const DETAILS: Readonly<Record<Level, string>> = {
  off: "Nothing speaks by itself; you can still ask",
  less: "Only what matters most",
  normal: "As the rules have it",
  more: "Also what is said to those who want to hear more",
};
