"""The SQLite ledger's tables."""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x4D46454C
"""``MFEL``: tells a ledger from any other SQLite file."""

SCHEMA_VERSION: Final = 1
"""SQLite's ``user_version``; a change of the tables raises it."""

# No STRICT and no RETURNING: Python 3.11 still comes with SQLite 3.26 on some systems.
# Partition keys and checkpoints are blobs: a path may hold bytes that are not UTF-8.
TABLES: Final = """
CREATE TABLE checkpoints (
  id            INTEGER PRIMARY KEY,
  source        TEXT    NOT NULL,
  partition     BLOB    NOT NULL,
  checkpoint    BLOB    NOT NULL,
  remember_from INTEGER,
  updated       INTEGER NOT NULL,
  UNIQUE (source, partition)
);

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

CREATE TABLE scopes (
  source TEXT    NOT NULL,
  scope  TEXT    NOT NULL,
  since  INTEGER NOT NULL,
  PRIMARY KEY (source, scope)
) WITHOUT ROWID;

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

CREATE TABLE rule_series (
  rule     TEXT    NOT NULL,
  series   INTEGER NOT NULL,
  overflow INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (rule, series)
) WITHOUT ROWID;

CREATE TABLE matches (
  digest     BLOB    NOT NULL PRIMARY KEY,
  checkpoint INTEGER NOT NULL,
  time       INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX matches_by_time ON matches (checkpoint, time);
"""
