/** Whether somebody is at it: idle and active again, the window's focus. It does not look at what they do. */

import type { Clock } from "./clock.js";
import { together, type Disposable, type Editor } from "./editor.js";
import type { Outlet } from "./outlet.js";

/** A look elsewhere that is shorter is none. */
export const BLUR_MS = 5000;
/** What happens by itself so soon after something that was done is its consequence. */
export const AT_WORK_MS = 10_000;
const MINUTE_MS = 60_000;
/** What `proactive.activity.idleMinutes` is held to. */
const IDLE_MIN = 1;
const IDLE_MAX = 240;

export class Presence implements Disposable {
  private readonly subscriptions: Disposable;
  private readonly listeners = new Set<() => void>();
  private lastDeed: number;
  private idleSince: number | undefined; // told as idle, since then
  private blurredAt: number | undefined;
  private isBlurTold = false;
  private cancelIdle: (() => void) | undefined;
  private cancelBlur: (() => void) | undefined;

  constructor(
    private readonly editor: Editor,
    private readonly clock: Clock,
    private readonly outlet: Outlet,
  ) {
    this.lastDeed = clock.now();
    const deed = () => this.deed();
    this.subscriptions = together(
      editor.onDeed(deed),
      editor.onShown(deed),
      editor.onSaved(deed),
      editor.onEdited(deed),
      editor.onExecutionStarted(deed),
      editor.onTaskStarted(deed),
      editor.onDebugStarted(deed),
      editor.onWindow(({ isFocused, isActive }) => this.window(isFocused, isActive)),
    );
    this.watch();
  }

  /** Whether something was done a moment ago. */
  get isAtWork(): boolean {
    return this.clock.now() - this.lastDeed <= AT_WORK_MS;
  }

  /** Called after each thing that is done, told or not. */
  onDeed(listener: () => void): Disposable {
    this.listeners.add(listener);
    return { dispose: () => void this.listeners.delete(listener) };
  }

  /** Begin anew: what was before permission is nobody's business. */
  begin(): void {
    this.lastDeed = this.clock.now();
    this.idleSince = undefined;
    this.blurredAt = undefined;
    this.isBlurTold = false;
    this.cancelBlur?.();
    this.watch();
  }

  dispose(): void {
    this.subscriptions.dispose();
    this.listeners.clear();
    this.cancelIdle?.();
    this.cancelBlur?.();
  }

  private deed(): void {
    const since = this.idleSince;
    this.idleSince = undefined;
    this.lastDeed = this.clock.now();
    if (since !== undefined) {
      this.outlet.tell("idle", "user.active", { minutes: Math.round((this.lastDeed - since) / MINUTE_MS) });
      this.watch();
    }
    for (const listener of [...this.listeners]) listener();
  }

  /** One timer for as long as they are not idle, however many deeds there are. */
  private watch(): void {
    this.cancelIdle?.();
    const wanted = Number(this.editor.setting("idleMinutes", 10)) || 10;
    const span = Math.min(IDLE_MAX, Math.max(IDLE_MIN, wanted)) * MINUTE_MS;
    const left = this.lastDeed + span - this.clock.now();
    this.cancelIdle = this.clock.after(Math.max(left, 0), () => {
      if (this.editor.isActive()) this.lastDeed = this.clock.now(); // who only scrolls reads
      if (this.clock.now() - this.lastDeed < span) return this.watch();
      this.idleSince = this.lastDeed;
      this.outlet.tell("idle", "user.idle", { minutes: Math.round(span / MINUTE_MS) });
    });
  }

  private window(isFocused: boolean, isActive: boolean): void {
    if (!isFocused && this.blurredAt === undefined) {
      this.blurredAt = this.clock.now();
      this.cancelBlur = this.clock.after(BLUR_MS, () => {
        this.isBlurTold = true;
        this.outlet.tell("focus", "window.blurred", {});
      });
    }
    // An editor whose window has just lost the focus still takes itself for active.
    if (isFocused && isActive) this.deed();
    else if (isFocused && this.idleSince === undefined) this.lastDeed = this.clock.now(); // it was active until now
    if (!isFocused || this.blurredAt === undefined) return;
    const seconds = Math.round((this.clock.now() - this.blurredAt) / 1000);
    this.blurredAt = undefined;
    this.cancelBlur?.();
    if (this.isBlurTold) this.outlet.tell("focus", "window.focused", { seconds });
    this.isBlurTold = false;
  }
}
