-- A file of version 2 of the SQLite store, as that version made and filled it, and what it wrote to mark the file.

CREATE TABLE decisions (
    partition INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    user NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (partition, number)
) WITHOUT ROWID;
INSERT INTO "decisions" VALUES(0,1,2,'user5','{"n":1}');
CREATE TABLE faults (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    user NOT NULL,
    line TEXT NOT NULL,
    trace TEXT NOT NULL
);
INSERT INTO "faults" VALUES(1,2,'user7','{"id":"e2","at":"1970-01-01T00:00:00.000002Z","user":"user7","type":"test.failed","data":{}}','a trace');
CREATE TABLE log (
    partition INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    user NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (partition, number)
) WITHOUT ROWID;
INSERT INTO "log" VALUES(0,1,1,'event','user5','{"id":"e1","at":"1970-01-01T00:00:00.000001Z","user":"user5","type":"test.failed","data":{}}');
INSERT INTO "log" VALUES(0,2,2,'event','user7','{"id":"e2","at":"1970-01-01T00:00:00.000002Z","user":"user7","type":"test.failed","data":{}}');
INSERT INTO "log" VALUES(0,3,3,'rules','','{"at":"1970-01-01T00:00:00.000003Z","kind":"rules","rules":"h"}');
INSERT INTO "log" VALUES(3,1,3,'event',X'6F646420EDA080','{"id":"e3","at":"1970-01-01T00:00:00.000003Z","user":"odd \ud800","type":"test.failed","data":{}}');
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
INSERT INTO "meta" VALUES('partition_count',4);
CREATE TABLE outbox (
    id PRIMARY KEY NOT NULL,
    user NOT NULL,
    at INTEGER NOT NULL,
    rule NOT NULL,
    expires_at INTEGER,
    line TEXT NOT NULL
);
INSERT INTO "outbox" VALUES('user5-2','user5',5,'idle',NULL,'{"id":"user5-2","type":"question","text":"Hm?"}');
INSERT INTO "outbox" VALUES('user5-1','user5',5,'idle',1000000000000000,'{"id":"user5-1","type":"question","text":"Hm?","expires_at":"2001-09-09T01:46:40.000000Z"}');
INSERT INTO "outbox" VALUES('user7-1','user7',4,'idle',NULL,'{"id":"user7-1","type":"question","text":"Hm?"}');
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    last_at INTEGER NOT NULL
);
INSERT INTO "partitions" VALUES(0,1,3,3);
INSERT INTO "partitions" VALUES(1,0,0,-1);
INSERT INTO "partitions" VALUES(2,0,0,-1);
INSERT INTO "partitions" VALUES(3,0,0,3);
CREATE TABLE rule_moments (at INTEGER NOT NULL, hash NOT NULL, UNIQUE (at, hash));
INSERT INTO "rule_moments" VALUES(3,'h');
CREATE TABLE rule_sets (hash PRIMARY KEY NOT NULL, sources TEXT NOT NULL);
INSERT INTO "rule_sets" VALUES('h','{"a.yaml": "x"}');
CREATE TABLE states (
    user PRIMARY KEY NOT NULL,
    partition INTEGER NOT NULL,
    wake INTEGER,
    present INTEGER NOT NULL,
    state BLOB NOT NULL
);
INSERT INTO "states" VALUES('user5',0,50,1,X'01FF');
CREATE INDEX log_by_user ON log (user, number) WHERE kind = 'event';
CREATE INDEX states_by_wake ON states (partition, wake) WHERE wake IS NOT NULL;
CREATE INDEX states_present ON states (present) WHERE present = 1;
CREATE INDEX outbox_by_user ON outbox (user, at);
CREATE INDEX outbox_by_expiry ON outbox (expires_at) WHERE expires_at IS NOT NULL;

PRAGMA application_id = 1347571521;
PRAGMA user_version = 2;
