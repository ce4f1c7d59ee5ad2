// Runs claims one after the other inside the extension host. It claims nothing itself.

const WITHIN_MS = 30_000;

/** The function that VS Code calls: resolved when all claims hold, rejected when one does not. */
exports.suite = (claims) => async () => {
  const failed = [];
  for (const [claim, check] of Object.entries(claims)) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not within ${WITHIN_MS} ms`)), WITHIN_MS);
    });
    try {
      await Promise.race([check(), late]);
      console.log(`holds: ${claim}`);
    } catch (cause) {
      console.log(`fails: ${claim}: ${cause.stack}`);
      failed.push(claim);
    } finally {
      clearTimeout(timer);
    }
  }
  if (failed.length > 0) throw new Error(`${failed.length} claims fail: ${failed.join("; ")}`);
};

/** Ask until it is so. */
exports.until = async (holds) => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50));
};
