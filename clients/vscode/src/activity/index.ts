/** What the extension reports of activity: the one entry. All of it is listed in `catalogue.ts` and the README. */

import type { Activity } from "@proactive/client";
import * as vscode from "vscode";
import type { Log } from "../parts.js";
import { REAL_CLOCK } from "./clock.js";
import { Consent } from "./consent.js";
import { Reporting } from "./reporting.js";
import type { TestReport } from "./tests.js";
import { vscodeAsking } from "./vscode_asking.js";
import { vscodeEditor } from "./vscode_editor.js";

export type { TestReport } from "./tests.js";

/** A part of the API that the extension exports. */
export interface ActivityReporting extends vscode.Disposable {
  /**
   * Tell of a test that has ended, for runners whose output is not read. Told as `test.passed` or `test.failed` where the user
   * lets tests be told; a skipped one is not told. Throws where `report` is none.
   */
  testResult(report: TestReport): void;
}

/** Report what the user allows from now on, and ask on the first run. `tell` must not throw. */
export function startReporting(
  context: vscode.ExtensionContext,
  tell: (event: Activity) => void,
  log: Log,
): ActivityReporting {
  const reporting = new Reporting(vscodeEditor(), REAL_CLOCK, tell, (line) => log.info(line));
  const consent = new Consent(vscodeAsking(context));
  const command = vscode.commands.registerCommand("proactive.activityConsent", () => consent.change());
  void consent.askOnce();
  return {
    testResult: (report) => reporting.testResult(report),
    dispose: () => {
      command.dispose();
      consent.dispose();
      reporting.dispose();
    },
  };
}
