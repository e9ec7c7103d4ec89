-- Version 1 of the journal, as it was: never edited, since journals that it made are still in use. Later versions add to it.
-- People query costs and history with ordinary tools, so names are those of the README.
CREATE TABLE jobs (
  id          INTEGER PRIMARY KEY,
  client      TEXT    NOT NULL,
  asset       TEXT    NOT NULL,
  locale      TEXT    NOT NULL,
  planned     BLOB    NOT NULL CHECK (length(planned) = 32),
  state       TEXT    NOT NULL,
  lane        TEXT    NOT NULL,
  priority    INTEGER NOT NULL,
  attempts    INTEGER NOT NULL DEFAULT 0,
  crashes     INTEGER NOT NULL DEFAULT 0,
  deadline_ms INTEGER,
  realised    BLOB    CHECK (realised IS NULL OR length(realised) = 32),
  cached      INTEGER NOT NULL DEFAULT 0,
  error_code  TEXT,
  error       TEXT,
  created_ms  INTEGER NOT NULL,
  updated_ms  INTEGER NOT NULL
) STRICT;
-- Asking again for what is already on its way joins it.
CREATE UNIQUE INDEX jobs_open ON jobs (planned, client, asset, locale)
  WHERE state NOT IN ('done', 'failed', 'cancelled');

-- What was asked, apart from the hot row.
CREATE TABLE specs (
  job_id INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  json   TEXT NOT NULL
) STRICT;

CREATE TABLE attempts (
  job_id     INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  n          INTEGER NOT NULL,
  engine     TEXT    NOT NULL,
  model      TEXT    NOT NULL,
  realised   BLOB    NOT NULL CHECK (length(realised) = 32),
  started_ms INTEGER NOT NULL,
  ended_ms   INTEGER,
  outcome    TEXT,
  PRIMARY KEY (job_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE renders (
  realised   BLOB PRIMARY KEY CHECK (length(realised) = 32),
  planned    BLOB NOT NULL CHECK (length(planned) = 32),
  blob       BLOB NOT NULL CHECK (length(blob) = 32),
  json       TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX renders_blob ON renders (blob);

-- Files of the store, and inputs that open jobs still need.
CREATE TABLE blobs (
  hash         BLOB PRIMARY KEY CHECK (length(hash) = 32),
  size         INTEGER NOT NULL,
  last_used_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_lru ON blobs (last_used_ms);
CREATE TABLE inputs (
  job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  blob   BLOB    NOT NULL CHECK (length(blob) = 32),
  PRIMARY KEY (job_id, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX inputs_blob ON inputs (blob);
