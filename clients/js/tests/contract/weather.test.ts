/** Lines that are cut at any moment, against a real server: what is promised holds all the same. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { TRANSPORTS, type Transport } from "../../src/states.js";
import { Person, statuses } from "../person.js";
import { RealServer } from "../real_server.js";
import { seeded } from "../virtual_time.js";

const ROUNDS = 25;
let server: RealServer;
before(async () => {
  server = await RealServer.start();
});
after(() => server.close());

for (const transports of [...TRANSPORTS.map((one) => [one]), TRANSPORTS] as readonly (readonly Transport[])[]) {
  const name = transports.join("-");

  test(`over ${name}, cut ${ROUNDS} times, nothing is lost or doubled`, async () => {
    const random = seeded(transports.length + name.length);
    const ann = new Person({ ...server.addresses, user: name, clientId: name, transports });
    await ann.connected();
    const told = [];
    let said = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const some = Array.from({ length: 1 + Math.floor(random() * 20) }, (_, n) => ann.client.send({ type: "did", n }));
      told.push(...some);
      if (random() < 0.7) {
        await server.say(name, `m${said}`);
        said += 1;
      }
      if (random() < 0.5) await some[Math.floor(random() * some.length)]?.delivery;
      const isShut = transports.length > 1 && random() < 0.5;
      if (isShut) server.webSocketDoor.shut();
      else server.webSocketDoor.cut();
      if (!isShut || random() < 0.5) server.httpDoor.cut();
      // The user looks, so that no time has to pass; by the clock it was stable before.
      ann.ahead += 60_000;
      ann.hint("visible");
      if (random() < 0.7) await ann.connected();
      server.webSocketDoor.open();
    }
    ann.ahead += 60_000;
    ann.hint("visible");
    assert.deepEqual(new Set(await statuses(told)), new Set(["acknowledged"]));
    await ann.until(() => ann.shown.length >= said);
    assert.deepEqual(
      ann.texts,
      Array.from({ length: said }, (_, n) => `m${n}`),
    );
    const ids = (await server.events(name, "did")).map(({ id }) => String(id));
    assert.deepEqual(ids.sort(), told.map(({ id }) => `${name}/${id}`).sort());
    while ((await server.waiting(name)).length > 0) await statuses([ann.client.send({ type: "looked" })]);
    ann.client.leave();
  });
}
