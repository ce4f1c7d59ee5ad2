/** What runs of tests write, and how commands and tasks run. It claims nothing itself. */

import { readFileSync } from "node:fs";
import type { Task } from "../../src/activity/editor.js";
import type { Command, Desk } from "./activity_editor.js";

export const RED = readFileSync("tests/fixtures/runs/recorded/pytest-quiet.txt", "utf8");
export const GREEN =
  "\u001b[32m.........\u001b[0m [100%]\r\n\u001b[32m\u001b[1m9 passed\u001b[0m\u001b[32m in 0.02s\u001b[0m\r\n";
export const FAILED = ["test_is_empty_at_first", "test_total_is[1]", "TestOrder::test_breaks"].map(
  (name) => `tests/test_basket.py::${name}`,
);

export async function run(desk: Desk, command: Command, output: string, exitCode: number | undefined): Promise<void> {
  desk.started.say(command.execution);
  command.write(output);
  command.close();
  await desk.time.pass(20);
  desk.ended.say({ execution: command.execution, exitCode });
  await desk.time.pass(0);
}

export function task(name: string, isTest = true): Task {
  return { key: {}, name, isTest, isBackground: false, group: isTest ? "test" : "build" };
}
