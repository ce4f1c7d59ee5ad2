/**
 * The results of the editor's own test view, where it shows them to extensions: `vscode.tests.onDidChangeTestResults` is a proposal
 * (`testObserver`). VS Code throws where it is not granted, and says nothing else; then nothing comes, and nobody is told.
 */

import type * as vscode from "vscode";
import type { Disposable, SeenTest } from "./editor.js";

/** Tests of one run. */
const TESTS_MAX = 2000;
/** Of names in names. */
const DEPTH_MAX = 30;

/** As of vscode.proposed.testObserver.d.ts; states: 3 passed, 4 failed, 5 skipped, 6 errored. */
interface Snapshot {
  readonly label: string;
  readonly uri?: vscode.Uri;
  readonly parent?: Snapshot;
  readonly children: readonly Snapshot[];
  readonly taskStates: readonly { readonly state: number; readonly duration?: number }[];
}

interface Result {
  readonly completedAt: number;
  readonly results: readonly Snapshot[];
}

interface Proposal {
  readonly testResults: readonly Result[];
  readonly onDidChangeTestResults: vscode.Event<void>;
}

const OUTCOMES: ReadonlyMap<number, SeenTest["outcome"]> = new Map([
  [3, "passed"],
  [4, "failed"],
  [5, "skipped"],
  [6, "failed"],
]);

/** Hear of runs that end from now on. Never throws. */
export function observeTestView(
  tests: object,
  placed: (uri: vscode.Uri) => SeenTest["place"],
  listener: (seen: readonly SeenTest[]) => void,
): Disposable {
  const proposal = tests as Proposal;
  try {
    let latest = Math.max(0, ...proposal.testResults.map(({ completedAt }) => completedAt));
    const look = () => {
      // The newest stands first; one that is under way has no moment yet.
      for (const { completedAt, results } of [...proposal.testResults].reverse()) {
        if (!(completedAt > latest)) continue;
        latest = completedAt;
        listener(seenIn(results, placed));
      }
    };
    return proposal.onDidChangeTestResults(look);
  } catch {
    return { dispose: () => undefined };
  }
}

/** Tests without others in them: suites end as these do. */
export function seenIn(
  snapshots: readonly Snapshot[],
  placed: (uri: vscode.Uri) => SeenTest["place"],
): readonly SeenTest[] {
  const seen: SeenTest[] = [];
  const visit = (snapshot: Snapshot, names: readonly string[]) => {
    if (seen.length >= TESTS_MAX || names.length > DEPTH_MAX) return;
    const here = [...names, snapshot.label];
    for (const child of snapshot.children) visit(child, here);
    const state = snapshot.taskStates.at(-1);
    const outcome = OUTCOMES.get(state?.state ?? 0);
    if (snapshot.children.length > 0 || outcome === undefined) return;
    const place = snapshot.uri === undefined ? undefined : placed(snapshot.uri);
    seen.push({
      test: here.join(" > "),
      outcome,
      ...(state?.duration === undefined ? {} : { durationMs: state.duration }),
      ...(place === undefined ? {} : { place }),
    });
  };
  for (const snapshot of snapshots) visit(snapshot, []);
  return seen;
}
