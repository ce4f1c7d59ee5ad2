-- The tables of version 1 of the SQLite store, as that version made them, and what it wrote to mark the file.

CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;

CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    last_at INTEGER NOT NULL
);

CREATE TABLE log (
    partition INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    user NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (partition, number)
) WITHOUT ROWID;

CREATE TABLE states (
    user PRIMARY KEY NOT NULL,
    partition INTEGER NOT NULL,
    wake INTEGER,
    present INTEGER NOT NULL,
    state BLOB NOT NULL
);
CREATE INDEX states_by_wake ON states (partition, wake) WHERE wake IS NOT NULL;
CREATE INDEX states_present ON states (present) WHERE present = 1;

CREATE TABLE decisions (
    partition INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    user NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (partition, number)
) WITHOUT ROWID;

CREATE TABLE outbox (
    id PRIMARY KEY NOT NULL,
    user NOT NULL,
    at INTEGER NOT NULL,
    rule NOT NULL,
    expires_at INTEGER,
    line TEXT NOT NULL
);
CREATE INDEX outbox_by_user ON outbox (user, at);
CREATE INDEX outbox_by_expiry ON outbox (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE faults (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    user NOT NULL,
    line TEXT NOT NULL,
    trace TEXT NOT NULL
);

CREATE TABLE rule_sets (hash PRIMARY KEY NOT NULL, sources TEXT NOT NULL);

CREATE TABLE rule_moments (at INTEGER NOT NULL, hash NOT NULL, UNIQUE (at, hash));

PRAGMA application_id = 1347571521;
PRAGMA user_version = 1;
