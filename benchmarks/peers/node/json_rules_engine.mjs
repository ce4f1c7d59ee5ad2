// json-rules-engine, on Node: a rule for each, asked at every event. `node json_rules_engine.mjs LOG RESULT RULES`, the
// rules as JSON: [{id, type, tests: [[field, operator, value]]}].
//
// It has conditions and no memory: counts, sequences and silence it cannot say. The program around it would have to keep
// all that and hand it in as facts. As in measuring.py, CPU time of the whole process counts, and the best run stands.

import { readFileSync, writeFileSync } from 'node:fs'
import { Engine } from 'json-rules-engine'

const RUNS = 5
const OPERATORS = { '==': 'equal', '!=': 'notEqual', '>=': 'greaterThanInclusive', '<': 'lessThan', in: 'in' }

function prepare (rules) {
  // A chat message has no level, which is no error.
  const engine = new Engine([], { allowUndefinedFacts: true })
  for (const { id, type, tests } of rules) {
    const all = [['type', '==', type], ...tests].map(([fact, symbol, value]) => ({ fact, operator: OPERATORS[symbol], value }))
    engine.addRule({ name: id, conditions: { all }, event: { type: id } })
  }
  return engine
}

async function run (engine, events) {
  const fired = []
  for (const event of events) {
    const { events: spoken } = await engine.run(event)
    for (const { type } of spoken) fired.push([event.user, type, event.at])
  }
  return fired
}

const [log, result, rules] = process.argv.slice(2)
const events = readFileSync(log, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
let best = Infinity
let firings = []
for (let turn = 0; turn < RUNS; turn += 1) {
  const engine = prepare(JSON.parse(rules))
  const start = process.cpuUsage()
  firings = await run(engine, events)
  const { user, system } = process.cpuUsage(start)
  best = Math.min(best, (user + system) / 1e6)
}
writeFileSync(result, JSON.stringify({ seconds: best, firings }))
