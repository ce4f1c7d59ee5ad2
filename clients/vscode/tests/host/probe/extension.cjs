// Registers the debugger of package.json, which only the extension that has it may do. It runs nothing.

const vscode = require("vscode");

class Adapter {
  onDidSendMessage = (listener) => {
    this.send = listener;
    return { dispose() {} };
  };

  handleMessage({ seq, command }) {
    this.send({ type: "response", seq: 0, request_seq: seq, success: true, command, body: {} });
    if (command === "initialize") this.send({ type: "event", seq: 0, event: "initialized" });
  }

  dispose() {}
}

exports.activate = (context) => {
  const createDebugAdapterDescriptor = () => new vscode.DebugAdapterInlineImplementation(new Adapter());
  context.subscriptions.push(
    vscode.debug.registerDebugAdapterDescriptorFactory("probe", { createDebugAdapterDescriptor }),
  );
};
