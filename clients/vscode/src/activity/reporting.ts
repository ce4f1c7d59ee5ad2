/** All reporters of one window, and when they tell. It knows no VS Code: that is `index.ts`. */

import type { Activity } from "@proactive/client";
import type { Clock } from "./clock.js";
import { DebuggingReporter } from "./debugging.js";
import { DiagnosticsReporter } from "./diagnostics.js";
import type { Disposable, Editor } from "./editor.js";
import { ExecutionsReporter } from "./executions.js";
import { FilesReporter } from "./files.js";
import { Outlet } from "./outlet.js";
import { Permission } from "./permission.js";
import { Presence } from "./presence.js";
import { TestsReporter, type TestReport } from "./tests.js";

export class Reporting implements Disposable {
  private readonly tests: TestsReporter;
  private readonly parts: readonly Disposable[];
  private readonly outlet: Outlet;

  /** `say` gets one line for each change of what is reported. */
  constructor(editor: Editor, clock: Clock, tell: (event: Activity) => void, say: (line: string) => void) {
    const permission = new Permission(editor);
    const outlet = new Outlet(clock, (reporter) => permission.allows(reporter), tell);
    // Presence hears first: who is active again says so before what they do.
    const presence = new Presence(editor, clock, outlet);
    const files = new FilesReporter(editor, clock, outlet);
    const diagnostics = new DiagnosticsReporter(editor, clock, outlet, presence);
    const tests = new TestsReporter(editor, outlet);
    const executions = new ExecutionsReporter(editor, clock, outlet, tests);
    const debugging = new DebuggingReporter(editor, clock, outlet);
    // What was gathered under another permission, or with names that are secret now, is not told, neither now nor later.
    const drop = () => {
      files.drop();
      diagnostics.drop();
      tests.drop();
    };
    const secrets = () => JSON.stringify(editor.setting<unknown>("secret", []));
    let known = secrets();
    const naming = editor.onSettings(() => {
      const now = secrets();
      if (now !== known) drop();
      known = now;
    });
    permission.onChange(() => {
      drop();
      outlet.forget();
      presence.begin();
      say(line(permission));
    });
    say(line(permission));
    this.tests = tests;
    this.outlet = outlet;
    this.parts = [executions, debugging, tests, diagnostics, files, presence, naming, permission];
  }

  testResult(report: TestReport): void {
    this.tests.report(report);
  }

  dispose(): void {
    for (const part of this.parts) part.dispose();
    this.outlet.forget();
  }
}

function line({ reporters }: Permission): string {
  return reporters.length === 0 ? "No activity is reported" : `Activity is reported: ${reporters.join(", ")}`;
}
