"use strict";

// What the buttons of the page tell the server, as an editor would. The widget is made by its own script.
const EVENTS = {
  fail: Array(3).fill({ type: "test.failed", test: "test_sort" }),
  pass: [{ type: "test.passed", test: "test_sort" }],
  knapsack: [{ type: "chat_message", message: "How do I solve the knapsack problem?" }],
  stuck: [{ type: "chat_message", message: "I don't understand this" }],
};

const list = document.querySelector("ol");

async function tell(event) {
  const line = document.createElement("li");
  const { type, ...data } = event;
  const what = document.createElement("code");
  what.textContent = `${type} ${JSON.stringify(data)}`;
  const became = document.createElement("span");
  became.textContent = " waits for a connection";
  line.append(what, became);
  document.querySelector("#nothing").hidden = true;
  list.append(line);
  const { widget } = window.Proactive;
  const isTaken = type === "chat_message" ? await widget.say(data.message) : await widget.send(event);
  became.textContent = isTaken ? " is on the server's disk" : " was not taken";
}

async function beSomebodyNew() {
  const { widget } = window.Proactive;
  (await widget.client).leave();
  widget.forget();
  location.reload();
}

for (const button of document.querySelectorAll("[data-deed]")) {
  const deed = button.dataset.deed;
  button.addEventListener("click", () => {
    if (deed === "anew") void beSomebodyNew();
    else for (const event of EVENTS[deed]) void tell(event);
  });
}
