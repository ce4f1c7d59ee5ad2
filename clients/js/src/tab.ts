/**
 * A `clientId` of its own for every tab of a page, without one more for every visit. It connects to nothing.
 *
 * Tabs share `localStorage`, and two that call themselves the same throw each other out. So each takes the first place
 * that is free, and holds it by a lock that the browser frees with the tab; whoever has it next finds there what was
 * left: events that wait, the session, what has been shown.
 */

import { platformWith, type Platform } from "./platform.js";
import type { KeyValueStorage } from "./storage.js";

/** Tabs of one page in one browser; those beyond it keep nothing. */
const PLACES_MAX = 50;

/** The part of the Web Locks API that is used. */
export interface LocksLike {
  request(
    name: string,
    options: { readonly ifAvailable: true },
    use: (lock: unknown) => Promise<void> | undefined,
  ): Promise<unknown>;
}

/** What to give to `ProactiveClient` among its options. */
export interface Tab {
  readonly clientId: string;
  /** `null` where the place cannot be held: what nobody finds again need not be kept. */
  readonly storage: KeyValueStorage | null;
}

/**
 * The place of this tab, until it is closed. `app`: what the pages that share places call themselves. Where there are
 * no locks (pages without TLS, other than on this machine) or no storage it is a place for this visit alone.
 */
export async function claimTab(
  app: string,
  given: { readonly locks?: LocksLike | undefined; readonly platform?: Partial<Platform> } = {},
): Promise<Tab> {
  const { storage, uniqueId } = platformWith(given.platform ?? {});
  const locks =
    "locks" in given
      ? given.locks
      : typeof navigator === "object"
        ? (navigator.locks as LocksLike | undefined)
        : undefined;
  const device = storage === undefined || locks === undefined ? undefined : deviceIn(storage, app, uniqueId);
  if (storage !== undefined && locks !== undefined && device !== undefined) {
    for (let place = 0; place < PLACES_MAX; place++) {
      const clientId = `${app}-${device}-${place}`;
      if (await hold(locks, `proactive:${clientId}`)) return { clientId, storage };
    }
  }
  return { clientId: `${app}-${uniqueId()}`, storage: null };
}

/** Whether the lock is ours now. It is held until the tab is gone. */
function hold(locks: LocksLike, name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const use = (lock: unknown): Promise<void> | undefined => {
      resolve(lock !== null);
      return lock === null ? undefined : new Promise(() => undefined);
    };
    locks.request(name, { ifAvailable: true }, use).catch(() => resolve(false));
  });
}

/** What this browser is called, the same for all of its tabs. */
function deviceIn(storage: KeyValueStorage, app: string, uniqueId: () => string): string | undefined {
  const key = `proactive:${app}:device`;
  try {
    const known = storage.getItem(key);
    if (known !== null && /^[0-9a-z]{1,64}$/.test(known)) return known;
    storage.setItem(key, uniqueId());
    // Read again: of two tabs that begin at once, one has the last word.
    return storage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}
