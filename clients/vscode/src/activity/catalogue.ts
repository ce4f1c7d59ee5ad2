/**
 * What is reported: reporters, their events and the fields of these. Data alone; the README's table is made of it, and a test
 * holds package.json to it.
 */

export interface EventKind {
  readonly type: string;
  readonly fields: readonly string[];
  readonly when: string;
}

export interface Reporter {
  /** Its setting is `proactive.activity.<name>`. */
  readonly name: string;
  /** Of its events; what is beyond is counted and told as one `activity.omitted`. */
  readonly perMinute: number;
  readonly events: readonly EventKind[];
}

/** A file of the workspace by `file`, any other document by `kind`. */
const PLACE = ["file", "kind", "language"];
const PROBLEM = [...PLACE, "severity", "source", "code", "line", "message"];

export const REPORTERS = [
  {
    name: "files",
    perMinute: 60,
    events: [
      {
        type: "file.opened",
        fields: [...PLACE, "lines"],
        when: "It is looked at, the first time since it was closed.",
      },
      { type: "file.saved", fields: [...PLACE, "lines", "characters"], when: "It was saved, by hand or by itself." },
      {
        type: "file.edited",
        fields: [...PLACE, "edits", "added", "removed", "line", "text"],
        when: "Gathered by file for 5 s: how many edits, characters added and removed, and the line of the last one.",
      },
    ],
  },
  {
    name: "diagnostics",
    perMinute: 60,
    events: [
      { type: "diagnostic.appeared", fields: PROBLEM, when: "An error or a warning in an open file, there for 2 s." },
      { type: "diagnostic.persisted", fields: [...PROBLEM, "seconds"], when: "It is still there after 30 s." },
      { type: "diagnostic.cleared", fields: [...PROBLEM, "seconds"], when: "It is gone." },
    ],
  },
  {
    name: "tests",
    perMinute: 300,
    events: [
      {
        type: "test.run",
        fields: ["runner", "source", "passed", "failed", "skipped", "exitCode", "unnamed"],
        when: "A run is over: how many tests came to what, and how many of those have no event of their own.",
      },
      {
        type: "test.passed",
        fields: ["test", "file", "runner", "source", "durationMs", "inferred"],
        when: "A test of it passed.",
      },
      { type: "test.failed", fields: ["test", "file", "runner", "source", "durationMs"], when: "A test of it failed." },
    ],
  },
  {
    name: "commands",
    perMinute: 60,
    events: [
      {
        type: "command.succeeded",
        fields: ["program", "exitCode", "durationMs"],
        when: "A command in a terminal ended with 0.",
      },
      { type: "command.failed", fields: ["program", "exitCode", "durationMs"], when: "It ended with something else." },
    ],
  },
  {
    name: "tasks",
    perMinute: 60,
    events: [
      { type: "task.finished", fields: ["task", "group", "exitCode", "durationMs"], when: "A task came to its end." },
    ],
  },
  {
    name: "debugging",
    perMinute: 30,
    events: [
      { type: "debug.started", fields: ["debugger"], when: "A debug session began." },
      { type: "debug.stopped", fields: ["debugger", "durationMs"], when: "It ended." },
    ],
  },
  {
    name: "idle",
    perMinute: 30,
    events: [
      {
        type: "user.idle",
        fields: ["minutes"],
        when: "Nothing was done in the editor for `proactive.activity.idleMinutes`.",
      },
      { type: "user.active", fields: ["minutes"], when: "Something is done again, and how long nothing was." },
    ],
  },
  {
    name: "focus",
    perMinute: 30,
    events: [
      { type: "window.blurred", fields: [], when: "The window has been without the focus for 5 s." },
      { type: "window.focused", fields: ["seconds"], when: "It has the focus again, and for how long it had not." },
    ],
  },
] as const satisfies readonly Reporter[];

export type ReporterName = (typeof REPORTERS)[number]["name"];
export type EventType = (typeof REPORTERS)[number]["events"][number]["type"];

/** What is beyond a reporter's bound of a minute, told as one when that minute is over and something else is told. */
export const OMITTED: EventKind = {
  type: "activity.omitted",
  fields: ["reporter", "count", "types"],
  when: "More happened in a minute than is told: how much, and of what.",
};

/** Settings beside `enabled` and those of the reporters. */
export const OTHER_SETTINGS = ["includeText", "secret", "idleMinutes"] as const;
