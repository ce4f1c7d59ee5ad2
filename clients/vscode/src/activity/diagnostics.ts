/**
 * Errors and warnings that appear, persist and go, in open files. The text of one is told where the user wants that alone.
 *
 * A language server speaks by itself: what it says is told while somebody is at work, else with what they do next, and after a failing test
 * not before something else has been told. So silence stays silence (`outlet.ts`).
 */

import type { Clock } from "./clock.js";
import { together, type Disposable, type Document, type Editor, type Problem } from "./editor.js";
import type { Outlet } from "./outlet.js";
import { placed } from "./places.js";
import type { Presence } from "./presence.js";

/** Half a word is an error too: what is gone so soon never was. */
export const APPEARS_MS = 2000;
export const PERSISTS_MS = 30_000;
/** Of one file, and files. What is beyond is not followed. */
export const PROBLEMS_MAX = 20;
const FILES_MAX = 100;
/** Of the text, where it is told. */
const MESSAGE_MAX = 500;

interface Followed {
  document: Document;
  problem: Problem;
  readonly since: number;
  isTold: boolean;
  isPersistent: boolean;
  goneAt: number | undefined;
}

export class DiagnosticsReporter implements Disposable {
  private readonly files = new Map<string, Map<string, Followed>>();
  private readonly subscriptions: Disposable;
  private cancel: (() => void) | undefined;
  private isLooking = false;

  constructor(
    private readonly editor: Editor,
    private readonly clock: Clock,
    private readonly outlet: Outlet,
    private readonly presence: Presence,
  ) {
    this.subscriptions = together(
      editor.onProblems((documents) => this.changed(documents)),
      editor.onClosed(({ key }) => void this.files.delete(key)),
      presence.onDeed(() => this.look()),
      outlet.onTold(() => this.look()),
    );
  }

  /** All that is known is forgotten, and nothing of it told. */
  drop(): void {
    this.files.clear();
    this.cancel?.();
    this.cancel = undefined;
  }

  dispose(): void {
    this.subscriptions.dispose();
    this.drop();
  }

  private changed(documents: readonly Document[]): void {
    if (!this.outlet.may("diagnostics")) return;
    for (const document of documents) this.compare(document);
    this.look();
  }

  private compare(document: Document): void {
    const now = this.clock.now();
    const known = this.files.get(document.key) ?? new Map<string, Followed>();
    const found = new Map<string, Problem>();
    for (const problem of this.editor.problems(document)) {
      const key = [problem.severity, problem.source, problem.code, problem.message.slice(0, MESSAGE_MAX)].join("\n");
      if (!found.has(key)) found.set(key, problem); // the same one on several lines is one
    }
    for (const [key, followed] of known) {
      const problem = found.get(key);
      if (problem === undefined) followed.goneAt ??= now;
      else Object.assign(followed, { document, problem, goneAt: undefined });
    }
    for (const [key, problem] of found) {
      if (known.has(key) || known.size >= PROBLEMS_MAX) continue;
      known.set(key, { document, problem, since: now, isTold: false, isPersistent: false, goneAt: undefined });
    }
    if (known.size === 0) this.files.delete(document.key);
    else if (this.files.has(document.key) || this.files.size < FILES_MAX) this.files.set(document.key, known);
  }

  /** Tell what is due, if now is the time for it, and look again when the next is. */
  private look(): void {
    if (this.isLooking || this.files.size === 0) return;
    this.isLooking = true; // what is told here makes the outlet call again
    this.cancel?.();
    this.cancel = undefined;
    const isTime = this.presence.isAtWork && this.outlet.lastType !== "test.failed";
    const now = this.clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, known] of this.files) {
      for (const [name, followed] of known) {
        if (isTime) this.tellDue(followed, now);
        if (followed.goneAt !== undefined && (!followed.isTold || isTime)) known.delete(name);
        else next = Math.min(next, dueAt(followed));
      }
      if (known.size === 0) this.files.delete(key);
    }
    // What is due and not told waits for a deed, which calls this again.
    if (next > now && Number.isFinite(next)) this.cancel = this.clock.after(next - now, () => this.look());
    this.isLooking = false;
  }

  private tellDue(followed: Followed, now: number): void {
    const seconds = Math.round(((followed.goneAt ?? now) - followed.since) / 1000);
    if (followed.goneAt !== undefined) {
      if (followed.isTold) this.tell("diagnostic.cleared", followed, seconds);
      return;
    }
    if (!followed.isTold && now - followed.since >= APPEARS_MS) {
      followed.isTold = true;
      this.tell("diagnostic.appeared", followed);
    }
    if (followed.isTold && !followed.isPersistent && now - followed.since >= PERSISTS_MS) {
      followed.isPersistent = true;
      this.tell("diagnostic.persisted", followed, seconds);
    }
  }

  private tell(
    type: "diagnostic.appeared" | "diagnostic.persisted" | "diagnostic.cleared",
    { document, problem }: Followed,
    seconds?: number,
  ): void {
    const { place, language } = document;
    const isFile = place.kind === "file";
    this.outlet.tell("diagnostics", type, {
      ...placed(place),
      language,
      severity: problem.severity,
      source: problem.source?.slice(0, 100),
      code: problem.code?.slice(0, 100),
      line: isFile ? problem.line : undefined,
      message:
        isFile && this.editor.setting<boolean>("includeText", false) === true
          ? problem.message.slice(0, MESSAGE_MAX)
          : undefined,
      seconds,
    });
  }
}

function dueAt({ since, isTold, isPersistent }: Followed): number {
  if (!isTold) return since + APPEARS_MS;
  return isPersistent ? Number.POSITIVE_INFINITY : since + PERSISTS_MS;
}
