/**
 * A place of its own for every window: a folder in which it keeps what waits, and the number in its `clientId`. It
 * knows no editor and no server.
 *
 * Two windows that called themselves the same would throw each other out. So each holds its place by a file with its
 * process in it; when it is gone, however it went, the next window has the place and all that was left there.
 */

import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

/** Windows of one machine with places; those beyond it keep nothing. */
export const PLACES_MAX = 20;
/** How often a window says that it is still there. */
export const BEAT_MS = 30_000;
/** Who has said nothing for so long is gone, though there be a process of that number: numbers are used again. */
const LOST_MS = 10 * 60_000;
/** Where nobody has been for so long, nobody is just about to come back. */
const LEFT_MS = 60_000;
/** For a file to be written after it was made, and for a take-over. */
const WRITTEN_MS = 10_000;
const LOCK = "lock";
const WINDOW = "window";
const SERVER = "server";
/** How the names of all end that a window keeps. */
const KEPT = ".json";
const NUMBERS = Array.from({ length: PLACES_MAX }, (_, number) => number);

export interface Place {
  readonly number: number;
  /** Where its window may keep things. */
  readonly folder: string;
  /** Say that the window is still there, every `BEAT_MS`. False where another has the place now. */
  beat(): boolean;
  /** What is kept here is for this server from here on: text that names it, and is kept as it is given. */
  serve(server: string): void;
  release(): void;
  /** Release it for good: the window does not look for it again. */
  leave(): void;
}

interface Holder {
  readonly name: string;
  readonly pid: number;
  /** Numbers of processes are those of one machine, or of one container. */
  readonly host: string;
}

/**
 * The place of this window: that which it had the last time if that is free, else the first that is and in which
 * nothing is for another server, which must not get it. `window`: what makes it the same after a restart, such as its
 * folder; it is kept as it is given. Undefined where none can be had.
 */
export function claimPlace(
  root: string,
  window: string,
  server: string,
  now: () => number = Date.now,
): Place | undefined {
  const own = placesOf(root, window);
  const others = NUMBERS.filter((one) => !own.includes(one) && isFor(join(root, String(one)), server));
  for (const number of [...own, ...others]) {
    try {
      const place = hold(join(root, String(number)), number, now);
      if (place === undefined) continue;
      writeFileSync(join(place.folder, WINDOW), window, { mode: 0o600 });
      return place;
    } catch {
      // A folder that cannot be written to is no place; the next one may be.
    }
  }
  return undefined;
}

/**
 * Whether another process holds all that this window had before. Where a window is loaded anew, its former process may
 * be just about to go, and it is worth a moment's wait.
 */
export function isOwnPlaceHeld(root: string, window: string, now: () => number = Date.now): boolean {
  const own = placesOf(root, window);
  return own.length > 0 && own.every((number) => isHeld(join(root, String(number), LOCK), now()));
}

/** It may have had several: while one of its former processes lived on, it took another. The latest first. */
function placesOf(root: string, window: string): readonly number[] {
  const file = (number: number): string => join(root, String(number), WINDOW);
  const usedAt = (number: number): number => statSync(file(number), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return NUMBERS.filter((number) => read(file(number)) === window).sort((a, b) => usedAt(b) - usedAt(a));
}

/**
 * Another place of this window with something for this server in it, at which nobody has been for a while: while its
 * former process lived on, it took another. Undefined where there is none.
 */
export function claimLeftPlace(
  root: string,
  window: string,
  server: string,
  now: () => number = Date.now,
): Place | undefined {
  for (const number of placesOf(root, window)) {
    const folder = join(root, String(number));
    try {
      if (!isFor(folder, server) || !isLeft(folder, now())) continue;
      const place = hold(folder, number, now);
      if (place === undefined) continue;
      writeFileSync(join(folder, WINDOW), window, { mode: 0o600 });
      return place;
    } catch {
      // As above.
    }
  }
  return undefined;
}

function isLeft(folder: string, now: number): boolean {
  const lock = join(folder, LOCK);
  return (
    !isHeld(lock, now) &&
    [folder, lock].every((one) => isOlder(one, LEFT_MS, now)) &&
    readdirSync(folder).some((name) => name.endsWith(KEPT))
  );
}

function isFor(folder: string, server: string): boolean {
  return [undefined, server].includes(read(join(folder, SERVER)));
}

/** Empty every place that nobody holds. */
export function emptyFreePlaces(root: string, now: () => number = Date.now): void {
  for (const number of NUMBERS) {
    const folder = join(root, String(number));
    if (statSync(folder, { throwIfNoEntry: false }) === undefined) continue;
    const place = hold(folder, number, now);
    if (place === undefined) continue;
    for (const name of readdirSync(folder)) {
      if (name !== LOCK) rmSync(join(folder, name), { recursive: true, force: true });
    }
    place.release();
  }
}

/** What is kept under this name for all windows, made where there is nothing that `isGood` yet. */
export function keptName(root: string, name: string, isGood: RegExp, make: () => string): string {
  const file = join(root, name);
  const known = read(file);
  if (known !== undefined && isGood.test(known)) return known;
  const made = make();
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    if (known !== undefined) rmSync(file, { force: true });
    create(file, made);
  } catch {
    return made;
  }
  // Read again: of two windows that begin at once, one was first.
  const kept = read(file);
  return kept !== undefined && isGood.test(kept) ? kept : made;
}

function hold(folder: string, number: number, now: () => number): Place | undefined {
  const lock = join(folder, LOCK);
  const holder: Holder = { name: randomBytes(8).toString("hex"), pid: process.pid, host: hostname() };
  const text = JSON.stringify(holder);
  const isOurs = (): boolean => holderIn(lock)?.name === holder.name;
  const release = (): void => {
    if (isOurs()) rmSync(lock, { force: true });
  };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!create(lock, text) && !takeOver(lock, text, now)) return undefined;
  return {
    number,
    folder,
    beat: () => {
      try {
        const moment = new Date(now());
        if (isOurs()) utimesSync(lock, moment, moment);
        else {
          // Somebody may have cleaned up; then it is ours still, unless another was faster.
          mkdirSync(folder, { recursive: true, mode: 0o700 });
          return create(lock, text);
        }
        return true;
      } catch {
        // A disk that fails for a while takes nothing from us.
        return true;
      }
    },
    serve: (server) => {
      try {
        if (isOurs()) writeFileSync(join(folder, SERVER), server, { mode: 0o600 });
      } catch {
        // On a disk that takes nothing there is nothing to be kept apart.
      }
    },
    release,
    leave: () => {
      if (isOurs()) rmSync(join(folder, WINDOW), { force: true });
      release();
    },
  };
}

/** Of several that find the same holder gone, one at most has its place: whoever makes the second file. */
function takeOver(lock: string, text: string, now: () => number): boolean {
  if (isHeld(lock, now())) return false;
  const guard = `${lock}.next`;
  if (!create(guard, "")) {
    if (isOlder(guard, WRITTEN_MS, now())) rmSync(guard, { force: true });
    return false;
  }
  try {
    // Between the first look and now somebody may have taken it over.
    if (isHeld(lock, now())) return false;
    rmSync(lock, { force: true });
    return create(lock, text);
  } finally {
    rmSync(guard, { force: true });
  }
}

function isHeld(lock: string, now: number): boolean {
  if (isOlder(lock, LOST_MS, now)) return false;
  const holder = holderIn(lock);
  if (holder === undefined) return !isOlder(lock, WRITTEN_MS, now);
  return holder.host !== hostname() || isAlive(holder.pid);
}

/** One that is not there is older than anything. */
function isOlder(file: string, ms: number, now: number): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined || now - found.mtimeMs > ms;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !hasEnded(pid);
  } catch (cause) {
    // It is there, and another user's.
    return (cause as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** It is over, and is listed until whoever began it hears of it; in a container that may be never. */
function hasEnded(pid: number): boolean {
  return /^.*\) [ZX]/s.test(read(`/proc/${pid}/stat`) ?? "");
}

function holderIn(lock: string): Holder | undefined {
  try {
    const { name, pid, host } = JSON.parse(read(lock) ?? "") as Readonly<Record<string, unknown>>;
    const isWhole =
      typeof name === "string" && typeof host === "string" && Number.isSafeInteger(pid) && Number(pid) > 0;
    return isWhole ? { name, pid: Number(pid), host } : undefined;
  } catch {
    return undefined;
  }
}

/** False where it is there already. */
function create(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: "wx", mode: 0o600 });
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw cause;
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
