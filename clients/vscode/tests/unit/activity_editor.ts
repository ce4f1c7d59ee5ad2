/** An editor that does what a test says, and an hour that passes when it says so. */

import assert from "node:assert/strict";
import type { Activity } from "@proactive/client";
import { VirtualTime } from "../../../js/tests/virtual_time.js";
import { OMITTED, REPORTERS } from "../../src/activity/catalogue.js";
import type {
  DebugSession,
  Document,
  Edit,
  Editor,
  Execution,
  Place,
  Problem,
  SeenTest,
  Subscribe,
  Task,
} from "../../src/activity/editor.js";
import { pattern, placeNamed } from "../../src/activity/places.js";
import { Reporting } from "../../src/activity/reporting.js";

class Source<T> {
  private readonly listeners = new Set<(what: T) => void>();
  readonly subscribe: Subscribe<T> = (listener) => {
    this.listeners.add(listener);
    return { dispose: () => void this.listeners.delete(listener) };
  };

  say(what: T): void {
    for (const listener of [...this.listeners]) listener(what);
  }

  get size(): number {
    return this.listeners.size;
  }
}

/** A command in a terminal that writes when told to. */
export class Command {
  private readonly chunks: string[] = [];
  private wake: () => void = () => undefined;
  private isOver = false;
  readonly key = {};
  reads = 0;

  readonly execution: Execution;

  constructor(
    public commandLine: string,
    public names: readonly string[] = ["bash"],
    readonly terminal: object = {},
    isCertain = true,
  ) {
    this.execution = {
      key: this.key,
      terminal,
      terminalNames: () => this.names,
      commandLine: () => this.commandLine,
      isCertain: () => isCertain,
      read: () => this.read(),
      // It runs in the folder `app` of the workspace /home/ann/shop.
      fileOf: (path) => {
        const here = path.startsWith("/") ? path.replace("/home/ann/shop/", "") : `app/${path}`;
        const place = placeNamed(here, []);
        return place.kind === "file" ? place.file : undefined;
      },
    };
  }

  write(text: string): void {
    this.chunks.push(text);
    this.wake();
  }

  close(): void {
    this.isOver = true;
    this.wake();
  }

  private async *read(): AsyncGenerator<string> {
    this.reads += 1;
    for (;;) {
      for (let chunk = this.chunks.shift(); chunk !== undefined; chunk = this.chunks.shift()) yield chunk;
      if (this.isOver) return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

export class Desk {
  readonly time = new VirtualTime();
  readonly told: Activity[] = [];
  readonly lines: string[] = [];
  readonly settings = new Map<string, unknown>([["enabled", true]]);
  readonly problemsOf = new Map<string, readonly Problem[]>();
  isTelemetryEnabled = true;
  isActive = false;
  shownNow: Document | undefined;

  readonly telemetry = new Source<void>();
  readonly changed = new Source<void>();
  readonly shown = new Source<Document>();
  readonly closed = new Source<{ readonly key: string }>();
  readonly saved = new Source<Document>();
  readonly edited = new Source<Edit>();
  readonly problems = new Source<readonly Document[]>();
  readonly started = new Source<Execution>();
  readonly ended = new Source<{ readonly execution: Execution; readonly exitCode: number | undefined }>();
  readonly taskStarted = new Source<Task>();
  readonly taskEnded = new Source<{ readonly task: Task; readonly exitCode: number | undefined }>();
  readonly debugStarted = new Source<DebugSession>();
  readonly debugStopped = new Source<DebugSession>();
  readonly window = new Source<{ readonly isFocused: boolean; readonly isActive: boolean }>();
  readonly deed = new Source<void>();
  readonly testView = new Source<readonly SeenTest[]>();

  readonly editor: Editor = {
    isTelemetryEnabled: () => this.isTelemetryEnabled,
    onTelemetry: this.telemetry.subscribe,
    setting: <T>(name: string, fallback: T) => (this.settings.has(name) ? (this.settings.get(name) as T) : fallback),
    onSettings: this.changed.subscribe,
    placeNamed: (path) => placeNamed(path, ((this.settings.get("secret") ?? []) as string[]).map(pattern)),
    shown: () => this.shownNow,
    onShown: this.shown.subscribe,
    onClosed: this.closed.subscribe,
    onSaved: this.saved.subscribe,
    onEdited: this.edited.subscribe,
    onProblems: this.problems.subscribe,
    problems: ({ key }) => this.problemsOf.get(key) ?? [],
    onExecutionStarted: this.started.subscribe,
    onExecutionEnded: this.ended.subscribe,
    onTaskStarted: this.taskStarted.subscribe,
    onTaskEnded: this.taskEnded.subscribe,
    onDebugStarted: this.debugStarted.subscribe,
    onDebugStopped: this.debugStopped.subscribe,
    isActive: () => this.isActive,
    onWindow: this.window.subscribe,
    onDeed: this.deed.subscribe,
    onTestView: this.testView.subscribe,
  };

  readonly clock = {
    now: () => this.time.now,
    after: (ms: number, call: () => void) => this.time.after(ms, call),
  };

  /** Reporters at work. All that is told is held to the catalogue. */
  report(): Reporting {
    return new Reporting(
      this.editor,
      this.clock,
      (event) => this.tell(event),
      (line) => this.lines.push(line),
    );
  }

  set(name: string, value: unknown): void {
    this.settings.set(name, value);
    this.changed.say();
  }

  /** What was told since the last time. */
  take(): readonly Activity[] {
    return this.told.splice(0);
  }

  /** Their types alone. */
  types(): readonly string[] {
    return this.take().map((event) => event.type);
  }

  /** Listeners that are still there. */
  get listeners(): number {
    const sources = Object.values(this).filter((value): value is Source<unknown> => value instanceof Source);
    return sources.reduce((sum, source) => sum + source.size, 0);
  }

  private tell(event: Activity): void {
    const kinds = [...REPORTERS.flatMap((reporter) => [...reporter.events]), OMITTED];
    const kind = kinds.find(({ type }) => type === event.type);
    assert.ok(kind !== undefined, `${event.type} is not in the catalogue`);
    const fields: readonly string[] = ["type", ...kind.fields];
    for (const name of Object.keys(event))
      assert.ok(fields.includes(name), `${event.type}: ${name} is not in the catalogue`);
    assert.deepEqual(JSON.parse(JSON.stringify(event)), event, "what is told is JSON");
    this.told.push(event);
  }
}

/** A document of the workspace. */
export function file(name: string, place: Place = { kind: "file", file: name }): Document {
  return { key: `file:///${name}`, place, language: "python", measure: () => ({ lines: 10, characters: 200 }) };
}

export function edit(document: Document, text = "x", line = 1, removed = 0): Edit {
  return { document, line, added: text.length, removed, text };
}
