/** Debug sessions: that they begin and end, and of which kind. Nothing of what is debugged. */

import type { Clock } from "./clock.js";
import { together, type Disposable, type Editor } from "./editor.js";
import type { Outlet } from "./outlet.js";

/** Sessions at once. */
const SESSIONS_MAX = 100;

export class DebuggingReporter implements Disposable {
  private readonly since = new Map<string, number>();
  private readonly subscriptions: Disposable;

  constructor(editor: Editor, clock: Clock, outlet: Outlet) {
    this.subscriptions = together(
      editor.onDebugStarted(({ key, type }) => {
        if (this.since.size < SESSIONS_MAX) this.since.set(key, clock.now());
        outlet.tell("debugging", "debug.started", { debugger: type.slice(0, 100) });
      }),
      editor.onDebugStopped(({ key, type }) => {
        const since = this.since.get(key);
        this.since.delete(key);
        const durationMs = since === undefined ? undefined : Math.round(clock.now() - since);
        outlet.tell("debugging", "debug.stopped", { debugger: type.slice(0, 100), durationMs });
      }),
    );
  }

  dispose(): void {
    this.subscriptions.dispose();
    this.since.clear();
  }
}
