"""Every statement that the running SQLite store executes, each with its name and what it is for.

Text only: nothing here is executed, and no value is ever put into a text. A line goes in and comes out as
bytes and is kept as text, so that the file can be read with the `sqlite3` command.
"""

from __future__ import annotations

# Where a partition stands. The log's last number is the cursor's where all behind it is gone.
PARTITION = """
SELECT version, cursor, last_at,
       max(cursor, coalesce((SELECT max(number) FROM log WHERE log.partition = partitions.partition), 0))
FROM partitions WHERE partition = ?
"""

# The claim of a commit: it succeeds for the one writer that knows the version.
CLAIM = """
UPDATE partitions SET version = version + 1, cursor = ?, last_at = max(last_at, ?)
WHERE partition = ? AND version = ?
"""

# Entries were appended: time has come to that of the last.
MOVE_LAST_AT = "UPDATE partitions SET last_at = ? WHERE partition = ?"

# One more entry behind the log's last.
ADD_ENTRY = "INSERT INTO log (partition, number, at, kind, user, once_id, line) VALUES (?, ?, ?, ?, ?, ?, ?)"

# Which of so many events that happen once stand in the log, each by its user and id. Asked together, for the thread
# gives way to the event loop after each statement, which takes longer than looking. What is not asked for is NULL.
KNOWN_TOGETHER = 100
KNOWN = f"""
WITH asked (user, id) AS (VALUES {", ".join(["(?, ?)"] * KNOWN_TOGETHER)})
SELECT asked.user, asked.id FROM asked CROSS JOIN log
ON log.user = asked.user AND log.once_id = asked.id AND log.once_id IS NOT NULL
"""

# Entries of a partition behind a number, in order.
ENTRIES = """
SELECT number, CAST(line AS BLOB) FROM log WHERE partition = ? AND number > ? ORDER BY number LIMIT ?
"""

MOMENT_OF_ENTRY = "SELECT at FROM log WHERE partition = ? AND number = ?"

# The newest events of a user before a moment, newest first. All of a user's are in one partition, so the numbers
# tell their order.
HISTORY = """
SELECT partition, number, CAST(line AS BLOB) FROM log
WHERE user = ? AND kind = 'event' AND at < ? ORDER BY number DESC LIMIT ?
"""

# The newest events, or sends, of a user below a number, newest first.
EVENTS_OF = """
SELECT number, CAST(line AS BLOB) FROM log
WHERE user = ? AND kind = 'event' AND number < ? ORDER BY number DESC LIMIT ?
"""
SENDS_OF = """
SELECT number, CAST(line AS BLOB) FROM log
WHERE user = ? AND kind = 'send' AND number < ? ORDER BY number DESC LIMIT ?
"""

# The newest decisions about a user below a number, newest first.
DECISIONS_OF = """
SELECT number, CAST(line AS BLOB) FROM decisions WHERE user = ? AND number < ? ORDER BY number DESC LIMIT ?
"""

# Users whose wake-up has come, the earliest first.
DUE = """
SELECT user, state FROM states
WHERE partition = ? AND wake IS NOT NULL AND wake <= ? ORDER BY wake LIMIT ?
"""

# The state of one user.
STATE = "SELECT state FROM states WHERE user = ?"

# A user's state as it is from now on. An update keeps the row and leaves indexes alone where nothing moved.
PUT_STATE = """
INSERT INTO states (user, partition, wake, present, state) VALUES (?, ?, ?, ?, ?) ON CONFLICT (user) DO UPDATE
SET wake = excluded.wake, present = excluded.present, state = excluded.state
"""

# The earliest wake-up of all: one look at the index for each partition.
NEXT_WAKE = """
SELECT min((SELECT min(wake) FROM states WHERE states.partition = partitions.partition AND wake IS NOT NULL))
FROM partitions
"""

# Who is present.
PRESENT = "SELECT user, state FROM states WHERE present = 1"

# The number of a partition's last decision.
LAST_DECISION = "SELECT coalesce(max(number), 0) FROM decisions WHERE partition = ?"

# One more decision behind the last.
ADD_DECISION = """
INSERT INTO decisions (partition, number, at, user, line) VALUES (?, ?, ?, ?, CAST(? AS TEXT))
"""

# The decisions of a partition, in order.
DECISIONS = "SELECT CAST(line AS BLOB) FROM decisions WHERE partition = ? ORDER BY number"

# A message to a user; one that already waits is the same message.
ADD_OUTGOING = """
INSERT INTO outbox (id, user, at, rule, client, expires_at, line) VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT))
ON CONFLICT (id) DO NOTHING
"""

# The oldest messages of a user beyond so many leave.
TRIM_OUTBOX = """
DELETE FROM outbox WHERE number IN
(SELECT number FROM outbox WHERE user = ? ORDER BY at DESC, number DESC LIMIT -1 OFFSET ?)
"""

# What waits for a user, oldest first.
PENDING = "SELECT CAST(line AS BLOB), at, rule, client FROM outbox WHERE user = ? ORDER BY at, number"

# A message that waits, and the same with other words.
OUTGOING_LINE = "SELECT CAST(line AS BLOB) FROM outbox WHERE id = ?"
REWORD_OUTGOING = "UPDATE outbox SET line = CAST(? AS TEXT) WHERE id = ?"

# A message has been handed over, or is withdrawn.
REMOVE_OUTGOING = "DELETE FROM outbox WHERE id = ?"

# All that has expired, whoever it was for.
REMOVE_EXPIRED = "DELETE FROM outbox WHERE expires_at IS NOT NULL AND expires_at <= ?"

# An entry that could not be evaluated.
ADD_FAULT = "INSERT INTO faults (at, user, line, trace) VALUES (?, ?, CAST(? AS TEXT), ?)"

# The oldest faults beyond so many leave.
TRIM_FAULTS = "DELETE FROM faults WHERE number <= (SELECT max(number) FROM faults) - ?"

# The texts of a rule set, kept once.
ADD_RULES = "INSERT INTO rule_sets (hash, sources) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING"

# The texts of a rule set.
RULES = "SELECT sources FROM rule_sets WHERE hash = ?"

# From this moment on that rule set holds; every partition says so, it is kept once.
ADD_RULE_MOMENT = "INSERT INTO rule_moments (at, hash) VALUES (?, ?) ON CONFLICT (at, hash) DO NOTHING"

# Every rule set that has held or will, earliest first, then in the order in which they came.
RULE_MOMENTS = "SELECT at, hash FROM rule_moments ORDER BY at, rowid"

# Users of a partition behind a row, with their states.
STATES = "SELECT rowid, user, state FROM states WHERE partition = ? AND rowid > ? ORDER BY rowid LIMIT ?"

# How far a partition is folded, and what stands at its border.
FOLDED = """
SELECT folded, folded_at, coalesce((SELECT value FROM meta WHERE name = 'erasures'), 0), cursor
FROM partitions WHERE partition = ?
"""
TICK = "SELECT CAST(line AS BLOB) FROM log WHERE partition = ? AND number = ?"
MOVE_FOLDED = "UPDATE partitions SET folded = ?, folded_at = ? WHERE partition = ?"

# What is folded leaves the log, and with it what was decided by then.
REMOVE_ENTRIES = "DELETE FROM log WHERE partition = ? AND number <= ?"
REMOVE_DECISIONS = "DELETE FROM decisions WHERE partition = ? AND at <= ?"

# Bases: all of a partition, that of one user, and those whose wake-up has come.
BASES = "SELECT user, state, wake, past FROM bases WHERE partition = ?"
BASE = "SELECT user, state, wake, past FROM bases WHERE user = ?"
BASES_DUE = "SELECT user, state, wake, past FROM bases WHERE partition = ? AND wake IS NOT NULL AND wake <= ?"
PUT_BASE = """
INSERT INTO bases (user, partition, wake, state, past) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (user) DO UPDATE SET wake = excluded.wake, state = excluded.state, past = excluded.past
"""
FORGET_PASTS = "UPDATE bases SET past = x'' WHERE partition = ? AND past <> x''"

# Rule sets that are not asked for any more, and their texts where no other moment has them.
REMOVE_RULE_MOMENTS = "DELETE FROM rule_moments WHERE at < ? RETURNING hash"
REMOVE_RULES = "DELETE FROM rule_sets WHERE hash = ? AND hash NOT IN (SELECT hash FROM rule_moments)"

# Whether entries of a user wait to be evaluated.
UNEVALUATED = """
SELECT 1 FROM log JOIN partitions USING (partition)
WHERE partition = ? AND number > cursor AND user = ? LIMIT 1
"""

# All that there is of a user.
ERASURES = (
    "DELETE FROM log WHERE partition = ? AND user = ?",
    "DELETE FROM decisions WHERE partition = ? AND user = ?",
    "DELETE FROM states WHERE partition = ? AND user = ?",
    "DELETE FROM bases WHERE partition = ? AND user = ?",
    "DELETE FROM outbox WHERE ? IS NOT NULL AND user = ?",
    "DELETE FROM faults WHERE ? IS NOT NULL AND user = ?",
)
COUNT_ERASURE = """
INSERT INTO meta (name, value) VALUES ('erasures', 1), ('remains', 1)
ON CONFLICT (name) DO UPDATE SET value = value + 1
"""
REMAINS = "SELECT 1 FROM meta WHERE name = 'remains'"

# A write that leaves nothing behind, and takes as much room as many a turn does.
PROBE = "INSERT INTO meta (name, value) VALUES ('probe', zeroblob(16384))"
UNDO_PROBE = "DELETE FROM meta WHERE name = 'probe'"

# How full the store is. Decisions of a partition are counted by their numbers, which is quick; those of users who were
# erased are among them.
COUNTS = """
SELECT
    (SELECT count(*) FROM states),
    (SELECT sum(folded) FROM partitions),
    (SELECT coalesce(sum((SELECT max(number) FROM decisions AS d WHERE d.partition = p.partition)
                       - (SELECT min(number) FROM decisions AS d WHERE d.partition = p.partition) + 1), 0)
     FROM partitions AS p),
    (SELECT count(*) FROM outbox),
    (SELECT count(*) FROM faults),
    (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size())
"""
