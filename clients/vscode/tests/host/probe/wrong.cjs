// What VS Code is told to run: one claim that does not hold, so that a run of it has to fail, or no run says anything.

exports.run = require("./suite.cjs").suite("wrong.test.cjs");
