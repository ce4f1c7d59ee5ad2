/** The name of the program that a command line or a task runs, and nothing else of the line. */

/** What only runs another program; that one is meant. Options of theirs are no name. */
const WRAPPERS = new Set(["sudo", "doas", "time", "env", "command", "exec", "nohup", "nice", "caffeinate", "winpty"]);
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,39}$/;
/** Of a command line, for what is looked for in it. */
const LINE_MAX = 2000;
/** `127` is "command not found" and `126` "cannot be run": what was typed was no program, and may be anything. */
const NO_PROGRAM = new Set([126, 127, 9009]);

/** What only shows what others have written. */
const SHOWS = /^\s*(?:cat|less|more|head|tail|bat|grep|rg|git|diff|vi|vim|nvim|nano|emacs|code|man|echo|printf|type)\b/;
/** Words of runners, and of scripts that run them: `npm t`, `make check`, `npm run test:unit`, `./manage.py test`. */
const TESTS =
  /(?:^|[^A-Za-z])(?:t|tests?|testing|unittests?|specs?|py\.?test|unittest|tox|nox|jest|vitest|mocha|ava|tap|check|verify|nextest|ci|trial)(?![A-Za-z])/i;

/**
 * `python3` of `DEBUG=1 /usr/bin/python3 -m pytest`. Undefined where it is not certain to be a program's name: a password that was
 * typed at the wrong prompt stays here.
 */
export function programOf(commandLine: string, exitCode: number): string | undefined {
  if (NO_PROGRAM.has(exitCode)) return undefined;
  for (const word of words(commandLine)) {
    if (/^[A-Za-z_][A-Za-z0-9_]*=/.test(word)) continue;
    const name = (word.split(/[\\/]/).at(-1) ?? "").replace(/\.(?:exe|cmd|bat|ps1)$/i, "");
    if (WRAPPERS.has(name)) continue;
    return NAME.test(name) ? name : undefined;
  }
  return undefined;
}

/** What a task may be told as: its name; where that repeats the command line that it runs, the program alone, if that is certain. */
export function taskNameOf(name: string, [program, ...given]: readonly string[] = []): string | undefined {
  if (program === undefined || program === "" || !name.includes(program)) return name;
  const isLine = /\s/.test(program.trim()) || (given.length > 0 && given.every((one) => name.includes(one)));
  return isLine ? programOf(program, 0) : name;
}

/**
 * The words of the first command: up to the first operator, in quotes or not. A backslash is a character like others, since it is in
 * Windows' paths; a name that has one in the end is none.
 */
function words(commandLine: string): readonly string[] {
  const found: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (const character of commandLine.trimStart().replace(/^&\s*/, "").slice(0, LINE_MAX)) {
    if (quote !== "") {
      if (character === quote) quote = "";
      else word = (word ?? "") + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= "";
    } else if (/\s/.test(character)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else if (/[;|&<>()`$]/.test(character))
      return found; // a word that is not over may be half of one
    else word = (word ?? "") + character;
  }
  return word === undefined || quote !== "" ? found : [...found, word];
}

/** Whether a command may run tests, so that its output is worth reading. Deliberately wide: the parsers know their own. */
export function mayRunTests(commandLine: string): boolean {
  const line = commandLine.slice(0, LINE_MAX);
  if (SHOWS.test(line)) return false;
  return TESTS.test(line);
}
