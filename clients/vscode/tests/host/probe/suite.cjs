// Runs a file of claims with mocha inside the extension host. It claims nothing itself.

const { join } = require("node:path");
const { format } = require("node:util");
const Mocha = require("mocha");

// What is said comes to the page that is tested, which would not fill in what stands for a value.
Mocha.reporters.Base.consoleLog = (...said) => console.log(format(...said));

/** The function that VS Code calls: resolved when all tests of the file have passed, rejected when one has not. */
exports.suite = (file) => () => {
  const mocha = new Mocha({ ui: "tdd", reporter: "spec", color: false, timeout: 30_000 });
  mocha.addFile(join(__dirname, file));
  return new Promise((resolve, reject) => {
    mocha.run((failures) => (failures > 0 ? reject(new Error(`${failures} tests failed`)) : resolve()));
  });
};

/** Ask until it is so. */
exports.until = async (holds) => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50));
};
