// What VS Code is told to run: the claims that hold.

exports.run = require("./suite.cjs").suite("claims.test.cjs");
