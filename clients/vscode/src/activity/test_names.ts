/** What a test may be called and where it is said to be, where its name has the path of its file in it. It reads no output. */

import { NAME_MAX, type TestResult } from "./runs/tally.js";

/** What has no name but that of a file that is told to nobody. */
export const NAMELESS = "a file";
const ABSOLUTE = /^(?:[\\/]|[A-Za-z]:[\\/])/;
/** Node's runner calls a file that it cannot load by its path, and says nothing else of it. */
const SCRIPT = /\.[cm]?[jt]sx?$/;

/**
 * `fileOf` makes of a path as the runner writes it what may be told, undefined where nothing may: then the name has none of it either,
 * and neither does a name have what is before the workspace.
 */
export function toldAs(result: TestResult, fileOf: (path: string) => string | undefined): TestResult {
  const { file: written, ...rest } = result;
  const path = written ?? (ABSOLUTE.test(rest.test) && SCRIPT.test(rest.test) ? rest.test : undefined);
  if (path === undefined) return result;
  // Of a path that was cut it is not known what it is of.
  const file = path.length < NAME_MAX ? fileOf(path) : undefined;
  if (file === undefined) return { ...rest, test: nameWithout(path, rest.test) };
  const isWhole = ABSOLUTE.test(path) && rest.test.startsWith(path);
  return { ...rest, test: isWhole ? file + rest.test.slice(path.length) : rest.test, file };
}

/** `test_a` of `tests/test_x.py::test_a`, and of cargo's `src/x.rs - example` the example. */
export function nameWithout(path: string, test: string): string {
  if (path === "" || !test.startsWith(path)) return test;
  return test.slice(path.length).replace(/^[\s:>›-]+/u, "") || NAMELESS;
}
