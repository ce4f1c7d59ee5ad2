// A page that uses the library as it is built, for test_library_browser.py: it keeps what it is told, and waits for more.

import { claimTab, ProactiveClient } from "/client/index.js";

const seen = { states: [], messages: [], withdrawn: [], settled: {}, problems: [], violations: [] };
let watchers = [];
let client;

function look() {
  watchers = watchers.filter((isDone) => !isDone());
}

document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  seen.violations.push(`${violatedDirective} ${blockedURI}`),
);

window.page = {
  seen,

  /** A client that is not connected yet; of `claim` comes which one it is. */
  async begin({ claim, ...options }) {
    const tab = claim === undefined ? {} : await claimTab(claim);
    client = new ProactiveClient({ ...tab, ...options });
    client.on("state", (state) => seen.states.push(state.transport ?? state.reason) && look());
    client.on("message", (message) => seen.messages.push(message.message) && look());
    client.on("withdrawn", ({ id }) => seen.withdrawn.push(id) && look());
    client.on("problem", ({ detail }) => seen.problems.push(detail) && look());
    client.on("settled", ({ id, delivery }) => {
      seen.settled[id] = delivery.status;
      look();
    });
    return tab.clientId;
  },

  connect: () => client.connect(),
  disconnect: () => client.disconnect(),
  send: (type) => client.send({ type }).id,
  chat: (text) => client.chat(text).id,
  pending: () => client.pending,

  /** Resolves when the named has this among it; of states, when it is the last. */
  until: (what, value) =>
    new Promise((resolve) => {
      watchers.push(() => {
        const all = what === "settled" ? Object.keys(seen.settled) : seen[what];
        const isSo = what === "states" ? all.at(-1) === value : all.includes(value);
        if (isSo) resolve();
        return isSo;
      });
      look();
    }),
};
