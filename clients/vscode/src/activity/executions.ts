/**
 * Commands in terminals and tasks: how they ended, and the runs of tests in what they wrote. Output is read for nothing else, and only
 * where tests may be told.
 *
 * A task has a terminal, too. Newer editors announce what runs there as a command (1.100 not before the terminal's second task), and a
 * command in a task's terminal is that task's output. The two ends come in either order, a moment apart.
 */

import type { Clock } from "./clock.js";
import { together, type Disposable, type Editor, type Execution, type Task } from "./editor.js";
import type { Outlet } from "./outlet.js";
import { mayRunTests, programOf, taskNameOf } from "./program.js";
import { RunReader } from "./runs/run_reader.js";
import type { TestRun } from "./runs/tally.js";
import { toldAs } from "./test_names.js";
import type { Source, TestsReporter } from "./tests.js";

/** How long a task's end waits for its output. Measured: 20 ms in 1.139, 220 ms in 1.100. */
export const OUTPUT_MS = 1000;
/** A runner that has said that it is through, and writes nothing for so long, watches. On a busy machine it may only be slow to go. */
export const WATCH_MS = 3000;
/** Executions and tasks that are under way at once. */
const UNDER_WAY_MAX = 100;
/** Of a task's name. */
const NAME_MAX = 100;
/** What VS Code writes into a task's terminal; where the shell does not say what it runs, that is read off the screen. */
const TASK_BANNER = /^\s*\*\s+\S/;

class Running {
  readonly runs: TestRun[] = [];
  /** Settled when all output is read. */
  output: Promise<void> = Promise.resolve();
  /** Whether runs of it have been told already. */
  hasTold = false;

  constructor(
    readonly execution: Execution,
    readonly since: number,
    readonly isTask: boolean,
  ) {}
}

interface Waiting {
  readonly task: Task;
  readonly exitCode: number | undefined;
  readonly durationMs: number | undefined;
  readonly cancel: () => void;
}

export class ExecutionsReporter implements Disposable {
  private readonly running = new Map<object, Running>();
  private readonly taskTerminals = new WeakSet<object>();
  private readonly tasks = new Map<object, { readonly task: Task; readonly since: number }>();
  private readonly waiting = new Set<Waiting>(); // tasks that have ended, and whose output has not
  private early: Running[] = []; // output of tasks that have not ended yet
  private readonly subscriptions: Disposable;
  private isOver = false;

  constructor(
    editor: Editor,
    private readonly clock: Clock,
    private readonly outlet: Outlet,
    private readonly tests: TestsReporter,
  ) {
    this.subscriptions = together(
      editor.onExecutionStarted((execution) => this.started(execution)),
      editor.onExecutionEnded(({ execution, exitCode }) => void this.ended(execution, exitCode)),
      editor.onTaskStarted((task) => {
        if (this.tasks.size < UNDER_WAY_MAX) this.tasks.set(task.key, { task, since: clock.now() });
      }),
      editor.onTaskEnded(({ task, exitCode }) => this.taskEnded(task, exitCode)),
    );
  }

  dispose(): void {
    this.isOver = true;
    this.subscriptions.dispose();
    for (const { cancel } of this.waiting) cancel();
    this.waiting.clear();
    this.running.clear();
    this.tasks.clear();
    this.early = [];
  }

  private started(execution: Execution): void {
    if (this.running.size >= UNDER_WAY_MAX) return;
    const isTask = this.isTask(execution);
    if (isTask) this.taskTerminals.add(execution.terminal);
    const running = new Running(execution, this.clock.now(), isTask);
    this.running.set(execution.key, running);
    // Which task it is may not be known yet; of a command that runs no tests nothing is read.
    const isWorthReading = isTask || mayRunTests(execution.commandLine());
    if (isWorthReading && this.outlet.may("tests")) running.output = this.read(running);
  }

  private isTask({ terminal, terminalNames, isCertain, commandLine }: Execution): boolean {
    if (this.taskTerminals.has(terminal)) return true;
    if (!isCertain() && TASK_BANNER.test(commandLine())) return true;
    const names = terminalNames();
    return [...this.tasks.values()].some(({ task }) => names.includes(task.name));
  }

  private async read(running: Running): Promise<void> {
    const reader = new RunReader();
    let cancel: (() => void) | undefined;
    const quiet = () => {
      cancel = undefined;
      if (this.mayWatch(running) && reader.pause()) for (const run of reader.take()) this.watched(running, run);
    };
    try {
      for await (const chunk of running.execution.read()) {
        if (this.isOver || !this.outlet.may("tests")) return;
        reader.write(chunk);
        cancel?.();
        cancel = this.clock.after(WATCH_MS, quiet);
      }
    } catch {
      // The terminal went away; what has been read is what there is.
    } finally {
      cancel?.();
    }
    running.runs.push(...reader.take());
  }

  /** A task says whether it goes on in the background; of a command in a terminal nobody knows. */
  private mayWatch({ isTask, execution }: Running): boolean {
    const names = execution.terminalNames();
    return !isTask || [...this.tasks.values()].some(({ task }) => names.includes(task.name) && task.isBackground);
  }

  /** A runner that goes on after its run: nobody waits for its end. */
  private watched(running: Running, run: TestRun): void {
    if (this.isOver) return;
    running.hasTold = true;
    this.tests.run(locate(run, running.execution), { source: sourceOf(running), command: commandOf(running) });
  }

  private async ended(execution: Execution, exitCode: number | undefined): Promise<void> {
    const running = this.running.get(execution.key);
    this.running.delete(execution.key);
    if (running === undefined) return;
    const durationMs = Math.round(this.clock.now() - running.since);
    await this.atMost(running.output);
    if (this.isOver) return;
    // A terminal that was made for a task has its name only now, where another task's was taken.
    if (running.isTask || this.isTask(execution)) return this.taskOutput(running);
    const commandLine = execution.commandLine();
    // Of a command whose runs have been told its end says nothing new, and a failing test is to be the last thing that happened.
    if (commandLine.trim() !== "" && exitCode !== undefined && !running.hasTold) {
      const program = execution.isCertain() ? programOf(commandLine, exitCode) : undefined;
      const type = exitCode === 0 ? "command.succeeded" : "command.failed";
      this.outlet.tell("commands", type, { program, exitCode, durationMs });
    }
    for (const run of located(running))
      this.tests.run(run, { source: "terminal", exitCode, command: commandOf(running) });
  }

  /** Settled with the promise, or when it takes too long. */
  private async atMost(promise: Promise<void>): Promise<void> {
    let cancel: () => void = () => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = this.clock.after(OUTPUT_MS, resolve);
    });
    await Promise.race([promise, late]);
    cancel();
  }

  private taskOutput(running: Running): void {
    const names = running.execution.terminalNames();
    const waiting = [...this.waiting].find(({ task }) => names.includes(task.name)) ?? [...this.waiting][0];
    if (waiting !== undefined) return this.tellTask(waiting, running);
    this.early = [...this.early.slice(1 - UNDER_WAY_MAX), running];
    // Of a task that never says that it has ended, nothing is kept.
    this.clock.after(OUTPUT_MS, () => {
      this.early = this.early.filter((one) => one !== running);
    });
  }

  private taskEnded(task: Task, exitCode: number | undefined): void {
    const since = this.tasks.get(task.key)?.since;
    this.tasks.delete(task.key);
    const durationMs = since === undefined ? undefined : Math.round(this.clock.now() - since);
    const waiting: Waiting = {
      task,
      exitCode,
      durationMs,
      cancel: this.clock.after(OUTPUT_MS, () => this.tellTask(waiting, undefined)),
    };
    this.waiting.add(waiting);
    const early = this.early.find(({ execution }) => execution.terminalNames().includes(task.name));
    if (early === undefined) return;
    this.early = this.early.filter((one) => one !== early);
    this.tellTask(waiting, early);
  }

  private tellTask(waiting: Waiting, running: Running | undefined): void {
    const { task, exitCode, durationMs } = waiting;
    waiting.cancel();
    this.waiting.delete(waiting);
    this.outlet.tell("tasks", "task.finished", {
      task: taskNameOf(task.name, task.command)?.slice(0, NAME_MAX),
      group: task.group,
      exitCode,
      durationMs,
    });
    const runs = running === undefined ? [] : located(running);
    const told = { source: "task", exitCode, command: `task ${task.name}` } as const;
    for (const run of runs) this.tests.run(run, told);
    if (runs.length === 0 && task.isTest && running?.hasTold !== true) this.tests.unread(told);
  }
}

/** The runs with files as paths in the workspace; a runner writes them as seen from where it was started. */
function located({ runs, execution }: Running): readonly TestRun[] {
  return runs.map((run) => locate(run, execution));
}

function locate(run: TestRun, execution: Execution): TestRun {
  const files = new Map<string, string | undefined>();
  const fileOf = (path: string) => {
    if (!files.has(path)) files.set(path, execution.fileOf(path));
    return files.get(path);
  };
  return { ...run, results: run.results.map((result) => toldAs(result, fileOf)) };
}

function sourceOf({ isTask }: Running): Source {
  return isTask ? "task" : "terminal";
}

function commandOf({ execution, isTask }: Running): string {
  return isTask ? `task ${execution.terminalNames()[0] ?? ""}` : execution.commandLine();
}
