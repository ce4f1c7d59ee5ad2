/** VS Code as the reporters see it. It decides nothing but what has a name that may be told. */

import * as vscode from "vscode";
import {
  together,
  type Disposable,
  type Document,
  type Edit,
  type Editor,
  type Execution,
  type Place,
  type Problem,
  type Subscribe,
  type Task,
} from "./editor.js";
import { pattern, placeNamed, placeOf } from "./places.js";
import { observeTestView } from "./test_view.js";
import { Typed } from "./typed.js";

/** Patterns of the user's own, and the length of one. */
const PATTERNS_MAX = 100;
const PATTERN_MAX = 200;
/** Of an insertion, as far as it is handed on. */
const TEXT_MAX = 2000;

const SECTION = "proactive.activity";

/** Nothing is asked of VS Code before somebody subscribes. */
export function vscodeEditor(): Editor {
  const places = new Places();
  const executions = new WeakMap<vscode.TerminalShellExecution, Execution>();
  const tasks = new WeakMap<vscode.TaskExecution, Task>();
  const from = <A, B>(event: vscode.Event<A>, map: (what: A) => B | undefined): Subscribe<B> => {
    return (listener) =>
      event((what) => {
        const mapped = map(what);
        if (mapped !== undefined) listener(mapped);
      });
  };
  return {
    isTelemetryEnabled: () => vscode.env.isTelemetryEnabled,
    onTelemetry: from(vscode.env.onDidChangeTelemetryEnabled, () => null) as Subscribe<unknown> as Subscribe<void>,
    setting: <T>(name: string, fallback: T) => vscode.workspace.getConfiguration(SECTION).get(name, fallback),
    onSettings: (listener) =>
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration(SECTION)) listener();
      }),

    placeNamed: (path) => places.named(path),
    shown: () => {
      const editor = vscode.window.activeTextEditor;
      return editor === undefined ? undefined : places.document(editor.document);
    },
    onShown: from(vscode.window.onDidChangeActiveTextEditor, (editor) =>
      editor === undefined ? undefined : places.document(editor.document),
    ),
    onClosed: from(vscode.workspace.onDidCloseTextDocument, ({ uri }) => ({ key: uri.toString() })),
    onSaved: from(vscode.workspace.onDidSaveTextDocument, (document) => places.document(document)),
    onEdited: (listener) => edits(places, listener),
    onProblems: from(vscode.languages.onDidChangeDiagnostics, ({ uris }) => {
      const open = new Map(vscode.workspace.textDocuments.map((document) => [document.uri.toString(), document]));
      const documents = uris.flatMap((uri) => {
        const document = open.get(uri.toString());
        return document === undefined ? [] : (places.document(document) ?? []);
      });
      return documents.length === 0 ? undefined : documents;
    }),
    problems: ({ key }) => vscode.languages.getDiagnostics(vscode.Uri.parse(key, true)).flatMap(problem),

    onExecutionStarted: from(vscode.window.onDidStartTerminalShellExecution, (event) =>
      execution(places, executions, event),
    ),
    onExecutionEnded: from(vscode.window.onDidEndTerminalShellExecution, (event) => ({
      execution: execution(places, executions, event),
      exitCode: event.exitCode,
    })),
    onTaskStarted: from(vscode.tasks.onDidStartTask, (event) => task(tasks, event.execution)),
    onTaskEnded: from(vscode.tasks.onDidEndTaskProcess, (event) => ({
      task: task(tasks, event.execution),
      exitCode: event.exitCode,
    })),
    // A session within another one is the adapter's own business.
    onDebugStarted: from(vscode.debug.onDidStartDebugSession, debugSession),
    onDebugStopped: from(vscode.debug.onDidTerminateDebugSession, debugSession),

    isActive: () => vscode.window.state.active,
    onWindow: from(vscode.window.onDidChangeWindowState, ({ focused, active }) => ({
      isFocused: focused,
      isActive: active,
    })),
    onDeed: from(vscode.window.onDidChangeTextEditorSelection, ({ kind }) =>
      kind === undefined || kind === vscode.TextEditorSelectionChangeKind.Command ? undefined : null,
    ) as Subscribe<unknown> as Subscribe<void>,

    onTestView: (listener): Disposable => observeTestView(vscode.tests, (uri) => places.of(uri), listener),
  };
}

/** Where documents are. The user's own patterns are read once for each change of the setting. */
class Places {
  private globs = "";
  private patterns: readonly RegExp[] = [];

  /** Undefined for what is no document of the user's: output, git's side of a diff, settings. */
  document(document: vscode.TextDocument): Document | undefined {
    const place = this.of(document.uri);
    if (place === undefined) return undefined;
    // VS Code writes its own files, such as settings, as documents that nobody sees.
    if (place.kind === "outside" && !isSeen(document)) return undefined;
    return {
      key: document.uri.toString(),
      place,
      language: document.languageId,
      measure: () => ({ lines: document.lineCount, characters: length(document) }),
    };
  }

  of(uri: vscode.Uri): Document["place"] | undefined {
    // A cell of a notebook is where the notebook is.
    const file = uri.scheme === "vscode-notebook-cell" ? uri.with({ scheme: "file", fragment: "" }) : uri;
    const folder = vscode.workspace.getWorkspaceFolder(file);
    if (folder === undefined && !["file", "untitled", "vscode-remote"].includes(file.scheme)) return undefined;
    const hasSeveral = (vscode.workspace.workspaceFolders?.length ?? 0) > 1;
    const relative =
      folder === undefined ? undefined : vscode.workspace.asRelativePath(file, hasSeveral).replaceAll("\\", "/");
    return placeOf(relative, file.scheme === "untitled", this.own());
  }

  /** A path that a program in this folder wrote, as it may be told. */
  fileOf(path: string, folder: vscode.Uri | undefined): string | undefined {
    const root = vscode.workspace.workspaceFolders?.[0]?.uri;
    const isAbsolute = /^(?:[\\/]|[A-Za-z]:)/.test(path);
    if (root === undefined || (!isAbsolute && folder === undefined)) return undefined;
    // A terminal runs where the workspace is; 1.100 calls its folder vscode-local where that is another machine.
    const here = root.with({ path: isAbsolute ? vscode.Uri.file(path).path : (folder ?? root).path });
    const uri = isAbsolute ? here : vscode.Uri.joinPath(here, path.replaceAll("\\", "/"));
    const place = this.of(uri);
    return place?.kind === "file" ? place.file : undefined;
  }

  named(path: string): Place {
    return placeNamed(path, this.own());
  }

  private own(): readonly RegExp[] {
    const said = vscode.workspace.getConfiguration(SECTION).get<unknown>("secret", []);
    const globs = (Array.isArray(said) ? said : []).filter((glob): glob is string => typeof glob === "string");
    const key = JSON.stringify(globs);
    if (key !== this.globs) {
      this.globs = key;
      this.patterns = globs
        .slice(0, PATTERNS_MAX)
        .filter((glob) => glob !== "")
        .map((glob) => pattern(glob.slice(0, PATTERN_MAX)));
    }
    return this.patterns;
  }
}

function isSeen(document: vscode.TextDocument): boolean {
  return vscode.window.visibleTextEditors.some((editor) => editor.document === document);
}

function length(document: vscode.TextDocument): number {
  return document.offsetAt(document.lineAt(document.lineCount - 1).range.end);
}

/** What somebody types, before the save that follows. */
function edits(places: Places, listener: (edit: Edit) => void): Disposable {
  const typed = new Typed();
  const tell = (found: readonly Edit[]) => {
    for (const one of found) listener(one);
  };
  return together(
    vscode.workspace.onDidChangeTextDocument((change) => {
      const { document } = change;
      // Of these it is not said, and nobody else writes them.
      const isDirty = document.isDirty || document.isUntitled || document.uri.scheme === "vscode-notebook-cell";
      tell(typed.changed(document.uri.toString(), edit(places, change), isDirty));
    }),
    vscode.workspace.onWillSaveTextDocument(({ document }) => tell(typed.saved(document.uri.toString()))),
  );
}

/** Undefined where nothing has changed but its being dirty, or it is no document of the user's. */
function edit(places: Places, { document, contentChanges }: vscode.TextDocumentChangeEvent): Edit | undefined {
  const last = contentChanges.at(-1);
  if (last === undefined) return undefined;
  const told = places.document(document);
  if (told === undefined) return undefined;
  const sum = (of: (change: vscode.TextDocumentContentChangeEvent) => number) =>
    contentChanges.reduce((total, change) => total + of(change), 0);
  return {
    document: told,
    line: last.range.start.line + 1,
    added: sum((change) => change.text.length),
    removed: sum((change) => change.rangeLength),
    text: contentChanges.map((change) => change.text.slice(-TEXT_MAX)).join(""),
  };
}

function problem(diagnostic: vscode.Diagnostic): readonly Problem[] {
  const { severity, range, source, code, message } = diagnostic;
  if (severity !== vscode.DiagnosticSeverity.Error && severity !== vscode.DiagnosticSeverity.Warning) return [];
  const value = typeof code === "object" ? code.value : code;
  return [
    {
      severity: severity === vscode.DiagnosticSeverity.Error ? "error" : "warning",
      line: range.start.line + 1,
      message,
      ...(source === undefined ? {} : { source }),
      ...(value === undefined ? {} : { code: String(value) }),
    },
  ];
}

function execution(
  places: Places,
  known: WeakMap<vscode.TerminalShellExecution, Execution>,
  event: { readonly terminal: vscode.Terminal; readonly execution: vscode.TerminalShellExecution },
): Execution {
  const { terminal, execution: its } = event;
  const before = known.get(its);
  if (before !== undefined) return before;
  const made: Execution = {
    key: its,
    terminal,
    terminalNames: () => [terminal.name, terminal.creationOptions.name ?? ""].filter((name) => name !== ""),
    commandLine: () => its.commandLine.value,
    isCertain: () => its.commandLine.confidence === vscode.TerminalShellExecutionCommandLineConfidence.High,
    read: () => its.read(),
    fileOf: (path) => places.fileOf(path, its.cwd),
  };
  known.set(its, made);
  return made;
}

function task(known: WeakMap<vscode.TaskExecution, Task>, its: vscode.TaskExecution): Task {
  const before = known.get(its);
  if (before !== undefined) return before;
  const { name, group, isBackground, execution } = its.task;
  const command = commandOf(execution);
  const made: Task = {
    key: its,
    name,
    ...(command === undefined ? {} : { command }),
    isTest: group?.id === vscode.TaskGroup.Test.id,
    isBackground,
    ...(group === undefined ? {} : { group: group.id }),
  };
  known.set(its, made);
  return made;
}

function commandOf(execution: vscode.Task["execution"]): readonly string[] | undefined {
  if (execution instanceof vscode.ProcessExecution) return [execution.process, ...execution.args];
  if (!(execution instanceof vscode.ShellExecution)) return undefined;
  const { commandLine, command, args } = execution;
  if (commandLine !== undefined) return [commandLine];
  const words = [command, ...(args ?? [])].filter((word) => word !== undefined);
  return words.map((word) => (typeof word === "string" ? word : word.value));
}

function debugSession({ id, type, parentSession }: vscode.DebugSession) {
  return parentSession === undefined ? { key: id, type } : undefined;
}
