-- Version 3: what calls to providers are, what they cost, and the art that they gave.

-- What a job is counted under.
ALTER TABLE jobs ADD COLUMN tier   TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN intent TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN batch  TEXT NOT NULL DEFAULT '';

-- Of an attempt that was bought; all of it is absent for one that this machine drew.
ALTER TABLE attempts ADD COLUMN provider        TEXT;
ALTER TABLE attempts ADD COLUMN account         TEXT;
ALTER TABLE attempts ADD COLUMN key_id          TEXT;
ALTER TABLE attempts ADD COLUMN wire_model      TEXT;
ALTER TABLE attempts ADD COLUMN seed            INTEGER;
ALTER TABLE attempts ADD COLUMN settings        TEXT;
ALTER TABLE attempts ADD COLUMN quoted_micros   INTEGER;
ALTER TABLE attempts ADD COLUMN reserved_micros INTEGER;
-- Absent while nobody knows what it cost.
ALTER TABLE attempts ADD COLUMN settled_micros  INTEGER;
ALTER TABLE attempts ADD COLUMN text_tokens     INTEGER;
ALTER TABLE attempts ADD COLUMN image_tokens    INTEGER;
ALTER TABLE attempts ADD COLUMN output_tokens   INTEGER;
ALTER TABLE attempts ADD COLUMN credits_milli   INTEGER;
ALTER TABLE attempts ADD COLUMN latency_ms      INTEGER;
-- The provider's name for the call, by which it can be asked after.
ALTER TABLE attempts ADD COLUMN provider_id     TEXT;
-- Why there is no picture.
ALTER TABLE attempts ADD COLUMN note            TEXT;
-- The whole route in JSON, and the key that its art has in the store: for a call that must be asked after by another process.
ALTER TABLE attempts ADD COLUMN route           TEXT;
ALTER TABLE attempts ADD COLUMN art             BLOB CHECK (art IS NULL OR length(art) = 32);

-- Every change of money, in its order, for good: it outlives the jobs. kind is reserve, settle, release (nothing was
-- billed), unknown (nobody knows; the reserve stays), or assume (nobody knows, and it is counted as billed).
CREATE TABLE ledger (
  id            INTEGER PRIMARY KEY,
  ts_ms         INTEGER NOT NULL,
  job_id        INTEGER NOT NULL,
  attempt       INTEGER NOT NULL,
  kind          TEXT    NOT NULL CHECK (kind IN ('reserve', 'settle', 'release', 'unknown', 'assume')),
  account       TEXT    NOT NULL,
  provider      TEXT    NOT NULL,
  model         TEXT    NOT NULL,
  client        TEXT    NOT NULL,
  batch         TEXT    NOT NULL,
  tier          TEXT    NOT NULL,
  asset         TEXT    NOT NULL,
  locale        TEXT    NOT NULL,
  amount_micros INTEGER NOT NULL CHECK (amount_micros >= 0)
) STRICT;
CREATE INDEX ledger_job ON ledger (job_id, attempt);
CREATE INDEX ledger_time ON ledger (ts_ms);
CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END;
CREATE TRIGGER ledger_is_not_shortened BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END;

-- What is set aside and what is spent, by what it counts under and for how long: the sums of the ledger, kept so that
-- a budget is one look. period is empty (for good), a day (2026-11-21) or a month (2026-11) in UTC.
CREATE TABLE spend (
  scope           TEXT    NOT NULL,
  period          TEXT    NOT NULL,
  reserved_micros INTEGER NOT NULL CHECK (reserved_micros >= 0),
  spent_micros    INTEGER NOT NULL CHECK (spent_micros >= 0),
  PRIMARY KEY (scope, period)
) STRICT, WITHOUT ROWID;

-- Art that was bought, before words and post steps: ten locales of one asset cost one call.
CREATE TABLE arts (
  art           BLOB PRIMARY KEY CHECK (length(art) = 32),
  blob          BLOB    NOT NULL CHECK (length(blob) = 32),
  job_id        INTEGER NOT NULL,
  cost_micros   INTEGER NOT NULL,
  latency_ms    INTEGER NOT NULL,
  seed          INTEGER,
  created_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX arts_blob ON arts (blob);
