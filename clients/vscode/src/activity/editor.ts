/**
 * What the reporters need to know of an editor, without one: `vscode_editor.ts` is VS Code's, a test has its own. Types alone.
 */

export interface Disposable {
  dispose(): void;
}

export type Subscribe<T> = (listener: (what: T) => void) => Disposable;

/** Where a document is, as far as it may be told. */
export type Place =
  /** In the workspace, by its path in it with `/`, the folder's name before it where there are several. */
  | { readonly kind: "file"; readonly file: string }
  /** Its name is told to nobody: outside the workspace, not saved yet, or of a name that stands for secrets. */
  | { readonly kind: "outside" | "untitled" | "secret" };

export interface Document {
  /** Names it here, and is never told. */
  readonly key: string;
  readonly place: Place;
  readonly language: string;
  /** Counted when asked for. */
  measure(): { readonly lines: number; readonly characters: number };
}

export interface Edit {
  readonly document: Document;
  /** Where the last of the changes is, counted from 1. */
  readonly line: number;
  readonly added: number;
  readonly removed: number;
  /** What was put in. It is told where the user wants that alone. */
  readonly text: string;
}

export interface Problem {
  readonly severity: "error" | "warning";
  /** Counted from 1. */
  readonly line: number;
  readonly source?: string;
  readonly code?: string;
  readonly message: string;
}

/** A command in a terminal. The same object when it starts and when it ends. */
export interface Execution {
  /** Names it here. */
  readonly key: object;
  /** Names its terminal here. */
  readonly terminal: object;
  /** What the terminal is called now, and was called when it was made. */
  readonly terminalNames: () => readonly string[];
  readonly commandLine: () => string;
  /** Whether the shell itself said so; else it has been read off the screen. */
  readonly isCertain: () => boolean;
  /** What it writes from now on, raw. */
  read(): AsyncIterable<string>;
  /** A path that it wrote, relative to where it runs, as it may be told: in the workspace. */
  fileOf(path: string): string | undefined;
}

export interface Task {
  /** Names its execution here: the same object when it starts and when it ends. */
  readonly key: object;
  /** Names its terminal, too. It may be its command line. */
  readonly name: string;
  /** What it runs, as far as that is known: a command line, or a program and its arguments. */
  readonly command?: readonly string[];
  readonly isTest: boolean;
  /** Whether it goes on until it is stopped, as watchers do. */
  readonly isBackground: boolean;
  /** `test`, `build` … */
  readonly group?: string;
}

export interface DebugSession {
  readonly key: string;
  /** Of its adapter: `python`, `node` … */
  readonly type: string;
}

/** One test of a run that the editor's own test view has seen. */
export interface SeenTest {
  readonly test: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly durationMs?: number;
  readonly place?: Place;
}

export interface Editor {
  /** Whether the editor's own setting lets anything be told. */
  isTelemetryEnabled(): boolean;
  onTelemetry: Subscribe<void>;
  /** Of `proactive.activity.<name>`, by the user's own settings. */
  setting<T>(name: string, fallback: T): T;
  onSettings: Subscribe<void>;

  /** Where this path in the workspace is, as another program has named it, or as it has been told before. */
  placeNamed(path: string): Place;
  /** The document that is looked at now. */
  shown(): Document | undefined;
  onShown: Subscribe<Document>;
  onClosed: Subscribe<{ readonly key: string }>;
  onSaved: Subscribe<Document>;
  onEdited: Subscribe<Edit>;
  /** Documents whose problems have changed, of those that are open. */
  onProblems: Subscribe<readonly Document[]>;
  problems(document: Document): readonly Problem[];

  onExecutionStarted: Subscribe<Execution>;
  /** Without an exit code it was called off, or the shell does not say. */
  onExecutionEnded: Subscribe<{ readonly execution: Execution; readonly exitCode: number | undefined }>;
  onTaskStarted: Subscribe<Task>;
  onTaskEnded: Subscribe<{ readonly task: Task; readonly exitCode: number | undefined }>;
  onDebugStarted: Subscribe<DebugSession>;
  onDebugStopped: Subscribe<DebugSession>;

  /** Whether the window has been used a moment ago, if only to scroll. */
  isActive(): boolean;
  /** The window has the focus or not; somebody is at it or has not been for a while. */
  onWindow: Subscribe<{ readonly isFocused: boolean; readonly isActive: boolean }>;
  /** Something the user does that is not told itself: the cursor goes elsewhere. */
  onDeed: Subscribe<void>;

  /** A run that the test view has seen to its end. Nothing comes where the editor does not show it to extensions. */
  onTestView: Subscribe<readonly SeenTest[]>;
}

/** Several to be disposed of as one. */
export function together(...parts: readonly Disposable[]): Disposable {
  return {
    dispose: () => {
      for (const part of parts) part.dispose();
    },
  };
}
