// A claim that does not hold: a run of it has to fail, or no run says anything.

const assert = require("node:assert/strict");
const { suite } = require("./suite.cjs");

exports.run = suite({
  "one is one": async () => assert.equal(1, 1),
  "one is two": async () => assert.equal(1, 2),
});
