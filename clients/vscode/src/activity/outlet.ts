/**
 * The one way out for what is reported: what may be told, in order, and so many a minute. It gathers nothing itself.
 *
 * Everything that is told counts as something the user did: the server's rules about silence begin anew with it. So nothing is told by a
 * timer while nobody does anything, but for `user.idle`; and where a failing test was told last, what nobody did waits.
 */

import type { Activity } from "@proactive/client";
import { OMITTED, REPORTERS, type EventType, type ReporterName } from "./catalogue.js";
import type { Clock } from "./clock.js";
import type { Disposable } from "./editor.js";

export const MINUTE_MS = 60_000;
/** Of any text that is told, in UTF-16 units. */
export const TEXT_MAX = 2000;

export type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

interface Minute {
  readonly from: number;
  told: number;
  /** How often each event was left out. */
  readonly omitted: Map<string, number>;
}

export class Outlet {
  private readonly minutes = new Map<ReporterName, Minute>();
  private readonly gatherers = new Set<() => void>();
  private readonly listeners = new Set<() => void>();
  private isTelling = false;

  /** What was told last. */
  lastType: string | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly allows: (reporter: ReporterName) => boolean,
    private readonly send: (event: Activity) => void,
  ) {}

  /** Called before something else is told, to tell what has been gathered first. */
  gathered(tellNow: () => void): Disposable {
    this.gatherers.add(tellNow);
    return { dispose: () => void this.gatherers.delete(tellNow) };
  }

  /** Called after something was told. */
  onTold(listener: () => void): Disposable {
    this.listeners.add(listener);
    return { dispose: () => void this.listeners.delete(listener) };
  }

  may(reporter: ReporterName): boolean {
    return this.allows(reporter);
  }

  /** Tell that it happened, now. Fields that are undefined are left out. */
  tell(reporter: ReporterName, type: EventType, fields: Fields): void {
    if (!this.allows(reporter)) return;
    if (!this.isTelling) {
      this.isTelling = true;
      for (const tellNow of [...this.gatherers]) tellNow();
      this.isTelling = false;
    }
    const minute = this.minute(reporter);
    if (minute.told >= (REPORTERS.find(({ name }) => name === reporter)?.perMinute ?? 0)) {
      minute.omitted.set(type, (minute.omitted.get(type) ?? 0) + 1);
      return;
    }
    minute.told += 1;
    this.emit({ type, ...bounded(fields) });
    if (!this.isTelling) for (const listener of [...this.listeners]) listener();
  }

  /** Forget what was counted: what somebody no longer wants to be told is not told later either. */
  forget(): void {
    this.minutes.clear();
    this.lastType = undefined;
  }

  private minute(reporter: ReporterName): Minute {
    const now = this.clock.now();
    const before = this.minutes.get(reporter);
    if (before !== undefined && now - before.from < MINUTE_MS) return before;
    const minute: Minute = { from: now, told: 0, omitted: new Map() };
    this.minutes.set(reporter, minute);
    if (before !== undefined && before.omitted.size > 0) {
      const count = [...before.omitted.values()].reduce((sum, one) => sum + one, 0);
      this.emit({ type: OMITTED.type, reporter, count, types: Object.fromEntries(before.omitted) });
    }
    return minute;
  }

  private emit(event: Activity): void {
    this.lastType = event.type;
    this.send(event);
  }
}

function bounded(fields: Fields): Record<string, string | number | boolean> {
  const told: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) told[name] = typeof value === "string" ? value.slice(0, TEXT_MAX) : value;
  }
  return told;
}
