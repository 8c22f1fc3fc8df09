-- A ledger as version 0.1.0 (schema 1) wrote it, by sqlite3's iterdump: two regions, two log groups of
-- which one is gone, a file, a removed rule, overflow series, a value error, a histogram.
PRAGMA application_id = 1296450892;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE checkpoints (
  id            INTEGER PRIMARY KEY,
  source        TEXT    NOT NULL,
  partition     BLOB    NOT NULL,
  checkpoint    BLOB    NOT NULL,
  remember_from INTEGER,
  updated       INTEGER NOT NULL,
  UNIQUE (source, partition)
);
INSERT INTO "checkpoints" VALUES(1,'history',X'3131313132323232333333333A75732D656173742D31',X'656173742D31',1727999999000,1728000060000);
INSERT INTO "checkpoints" VALUES(2,'history',X'3131313132323232333333333A65752D776573742D31',X'776573742D31',1727999999000,1728000060000);
INSERT INTO "checkpoints" VALUES(3,'apps',X'3131313132323232333333333A75732D656173742D313A2F61',X'2F6133',1728001200000,1728005820000);
INSERT INTO "checkpoints" VALUES(4,'apps',X'3131313132323232333333333A75732D656173742D313A2F676F6E65',X'2F676F6E65',1727999999000,1728000060000);
INSERT INTO "checkpoints" VALUES(5,'replay',X'2F6C6F67732FEDB3BF612E6A736F6E',X'7B2270617468223A2022EDB3BF227D',NULL,1728000060000);
CREATE TABLE matches (
  digest     BLOB    NOT NULL PRIMARY KEY,
  checkpoint INTEGER NOT NULL,
  time       INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "matches" VALUES(X'4D33B2F93C9D58172610349D91F2896A',1,1728000000000);
INSERT INTO "matches" VALUES(X'BDCEED8D1C2622FB1EE756EADE237E47',1,1728000000000);
INSERT INTO "matches" VALUES(X'FEA101BB9542A2169C1D6FCE9C71BC6C',1,1728000000001);
INSERT INTO "matches" VALUES(X'22980A685D926B0151C6A1683E08EE8A',1,1728000000002);
INSERT INTO "matches" VALUES(X'DA816BD0BF98358ADA42AC32689C650F',1,1728000000003);
INSERT INTO "matches" VALUES(X'FC0795049FC6E97A599E1FD7ECC09457',1,1728000000004);
INSERT INTO "matches" VALUES(X'8EF97037248C8DDCAA63124C6FEA2289',1,1728000000005);
INSERT INTO "matches" VALUES(X'A20B1233012E9D545B1D6F67DC1BD440',1,1728000000005);
INSERT INTO "matches" VALUES(X'44FA24ABE4E17DBBEE4016BCF55D483A',1,1728000000009);
INSERT INTO "matches" VALUES(X'249E73592B06689C5BF631FE8C8DD984',2,1728000000001);
INSERT INTO "matches" VALUES(X'06536659B4DD37B6EF422B8CA556F230',4,1728000000000);
INSERT INTO "matches" VALUES(X'54AE4F8DAB5F98BF8CD7E48D4677CE55',4,1728000000001);
INSERT INTO "matches" VALUES(X'55B0786EE460319E925D25D3C30529FC',4,1728000000002);
INSERT INTO "matches" VALUES(X'097AACA949CD2A3CD3F5DE570388CCDB',5,1728000000000);
INSERT INTO "matches" VALUES(X'9B6BA2E7ACB16C41E09909331B6D92BA',5,1728000000000);
INSERT INTO "matches" VALUES(X'F5F63C30156EEF6D19F5E43C137C94AD',5,1728000000000);
CREATE TABLE rule_series (
  rule     TEXT    NOT NULL,
  series   INTEGER NOT NULL,
  overflow INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (rule, series)
) WITHOUT ROWID;
INSERT INTO "rule_series" VALUES('logins',2,0);
INSERT INTO "rule_series" VALUES('logins',3,0);
INSERT INTO "rule_series" VALUES('logins',4,0);
INSERT INTO "rule_series" VALUES('logins',5,1);
INSERT INTO "rule_series" VALUES('logins',7,1);
INSERT INTO "rule_series" VALUES('logins',10,1);
INSERT INTO "rule_series" VALUES('removed',6,0);
INSERT INTO "rule_series" VALUES('root',1,0);
INSERT INTO "rule_series" VALUES('sizes',8,0);
INSERT INTO "rule_series" VALUES('sizes',9,0);
CREATE TABLE rules (
  source          TEXT    NOT NULL,
  rule            TEXT    NOT NULL,
  listening       INTEGER NOT NULL DEFAULT 0,
  start           INTEGER,
  matches         INTEGER NOT NULL DEFAULT 0,
  value_errors    INTEGER NOT NULL DEFAULT 0,
  overflowed      INTEGER NOT NULL DEFAULT 0,
  last_event_time INTEGER,
  PRIMARY KEY (source, rule)
) WITHOUT ROWID;
INSERT INTO "rules" VALUES('apps','sizes',1,1727913600000,7,0,0,1728000000007);
INSERT INTO "rules" VALUES('history','logins',1,1727913600000,8,1,3,1728000000009);
INSERT INTO "rules" VALUES('history','removed',0,NULL,1,0,0,1728000000000);
INSERT INTO "rules" VALUES('history','root',1,1727913600000,1,0,0,1728000000005);
INSERT INTO "rules" VALUES('replay','logins',1,NULL,3,0,3,1728000060000);
CREATE TABLE scopes (
  source TEXT    NOT NULL,
  scope  TEXT    NOT NULL,
  since  INTEGER NOT NULL,
  PRIMARY KEY (source, scope)
) WITHOUT ROWID;
INSERT INTO "scopes" VALUES('','=created',1728000000000);
INSERT INTO "scopes" VALUES('','=reading time',1728004800000);
INSERT INTO "scopes" VALUES('apps','=forgotten before',1730587500000);
INSERT INTO "scopes" VALUES('apps','=forgotten next before',1730587500000);
INSERT INTO "scopes" VALUES('apps','=forgotten next since',1728004800000);
INSERT INTO "scopes" VALUES('apps','=let go:111122223333:us-east-1:/gone',1730587500000);
INSERT INTO "scopes" VALUES('apps','us-east-1 /a',1727913600000);
INSERT INTO "scopes" VALUES('history','eu-west-1',1727913600000);
INSERT INTO "scopes" VALUES('history','us-east-1',1727913600000);
CREATE TABLE series (
  id          INTEGER PRIMARY KEY,
  metric      TEXT    NOT NULL,
  labels      TEXT    NOT NULL,
  total       REAL    NOT NULL DEFAULT 0.0 CHECK (typeof(total) = 'real' AND total >= 0),
  bounds      TEXT,
  buckets     TEXT,
  created     INTEGER NOT NULL,
  revealed    INTEGER NOT NULL DEFAULT 0,
  event_id    TEXT,
  event_value REAL    NOT NULL DEFAULT 0.0,
  event_time  INTEGER,
  UNIQUE (metric, labels)
);
INSERT INTO "series" VALUES(1,'root_total','[["account_id","111122223333"],["region","us-east-1"],["source","history"]]',1.0,NULL,NULL,1728000000000,1,'e5',1.0,1728000000005);
INSERT INTO "series" VALUES(2,'logins_total','[["account_id","111122223333"],["region","us-east-1"],["source","history"],["user","a"]]',2.0,NULL,NULL,1728000060000,0,'e1',1.0,1728000000001);
INSERT INTO "series" VALUES(3,'logins_total','[["account_id","111122223333"],["region","us-east-1"],["source","history"],["user","b"]]',1.0,NULL,NULL,1728000060000,0,'e2',1.0,1728000000002);
INSERT INTO "series" VALUES(4,'logins_total','[["account_id","111122223333"],["region","us-east-1"],["source","history"],["user","c"]]',1.0,NULL,NULL,1728000060000,0,'e3',1.0,1728000000003);
INSERT INTO "series" VALUES(5,'logins_total','[["account_id","111122223333"],["region","us-east-1"],["source","history"],["user","__overflow__"]]',2.0,NULL,NULL,1728000060000,0,'e5',1.0,1728000000005);
INSERT INTO "series" VALUES(6,'removed_total','[["account_id","111122223333"],["region","us-east-1"],["source","history"],["user","x"]]',1.0,NULL,NULL,1728000060000,0,'e0',1.0,1728000000000);
INSERT INTO "series" VALUES(7,'logins_total','[["account_id","111122223333"],["region","eu-west-1"],["source","history"],["user","__overflow__"]]',1.0,NULL,NULL,1728000060000,0,'w1',1.0,1728000000001);
INSERT INTO "series" VALUES(8,'sizes_bytes','[["account_id","111122223333"],["region","us-east-1"],["source","apps"],["user","a"]]',6.0,'[0.5, 1.0]','[2, 2, 2]',1728000060000,0,'/gone2',2.0,1728000000002);
INSERT INTO "series" VALUES(9,'sizes_bytes','[["account_id","111122223333"],["region","us-east-1"],["source","apps"],["user","z\ud800"]]',0.5,'[0.5, 1.0]','[1, 0, 0]',1728000060000,0,'rec',0.5,1728000000007);
INSERT INTO "series" VALUES(10,'logins_total','[["account_id","111122223333"],["region","us-east-1"],["source","replay"],["user","__overflow__"]]',3.0,NULL,NULL,1728000060000,0,'f2',1.0,1728000060000);
CREATE INDEX matches_by_time ON matches (checkpoint, time);
COMMIT;
