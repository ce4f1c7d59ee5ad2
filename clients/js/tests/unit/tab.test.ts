/** Tabs of one browser take places of their own, and leave them to whoever comes next. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { claimTab, type LocksLike } from "../../src/index.js";
import { MemoryStorage } from "../virtual_time.js";

/** Locks of one browser; `closed` frees one as the browser does when its tab is gone. */
class Locks implements LocksLike {
  readonly held = new Set<string>();

  async request(
    name: string,
    _options: { readonly ifAvailable: true },
    use: (lock: unknown) => Promise<void> | undefined,
  ): Promise<unknown> {
    if (this.held.has(name)) return use(null);
    this.held.add(name);
    return use({ name });
  }
}

function browser(): { locks: Locks; claim: () => ReturnType<typeof claimTab> } {
  const locks = new Locks();
  const storage = new MemoryStorage();
  let ids = 0;
  const uniqueId = (): string => `id${(ids += 1)}`;
  return { locks, claim: () => claimTab("shop", { locks, platform: { storage, uniqueId } }) };
}

test("two tabs are two clients, and a third takes the place of one that was closed", async () => {
  const { locks, claim } = browser();
  const [first, second] = [await claim(), await claim()];
  assert.deepEqual([first.clientId, second.clientId], ["shop-id1-0", "shop-id1-1"]);
  assert.ok(first.storage);
  locks.held.delete("proactive:shop-id1-0");
  assert.equal((await claim()).clientId, first.clientId);
});

test("without locks, or without a storage, a tab is a client for this visit that keeps nothing", async () => {
  let ids = 0;
  const uniqueId = (): string => `id${(ids += 1)}`;
  const storage = new MemoryStorage();
  const tabs = [
    await claimTab("shop", { locks: undefined, platform: { storage, uniqueId } }),
    await claimTab("shop", { locks: new Locks(), platform: { storage: undefined, uniqueId } }),
    await claimTab("shop", {
      locks: { request: () => Promise.reject(new Error("SecurityError")) },
      platform: { storage, uniqueId },
    }),
  ];
  assert.deepEqual(new Set(tabs.map((tab) => tab.storage)), new Set([null]));
  assert.equal(new Set(tabs.map((tab) => tab.clientId)).size, 3);
});
