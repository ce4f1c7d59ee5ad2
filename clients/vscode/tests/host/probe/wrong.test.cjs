const assert = require("node:assert/strict");

test("one is one", async () => assert.equal(1, 1));
test("one is two", async () => assert.equal(1, 2));
