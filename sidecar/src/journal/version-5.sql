-- Version 5: repair. Every picture that its checks refused and that the job went on from: which attempt gave it, what was
-- found, and what was done then. The steps of a job make the recipe that its next picture is asked by. They go with the job.
CREATE TABLE repairs (
  job_id      INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  n           INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  model       TEXT    NOT NULL,
  -- What was found, as in a render.
  verdict     TEXT    NOT NULL,
  -- What was done: JSON with a version.
  step        TEXT    NOT NULL,
  -- Of its art, whoever it was made for.
  cost_micros INTEGER NOT NULL,
  latency_ms  INTEGER NOT NULL,
  created_ms  INTEGER NOT NULL,
  PRIMARY KEY (job_id, n)
) STRICT, WITHOUT ROWID;

-- All by which a job's picture is judged and repaired, as a hash: the gate, the criteria, repair, reading back, the margin.
-- Empty for jobs that had ended before; nobody joins those.
ALTER TABLE jobs ADD COLUMN judged_by BLOB NOT NULL DEFAULT x'';
-- Asking again for what is already on its way joins it, where it is held to the same.
DROP INDEX jobs_open;
CREATE UNIQUE INDEX jobs_open ON jobs (planned, client, asset, locale, judged_by)
  WHERE state NOT IN ('done', 'failed', 'cancelled');

-- Where a picture is that was repaired or made from a draft, by what was asked and what it was held to: the steps that led
-- there. They outlive the job, and the pictures before it.
CREATE TABLE ways (
  planned    BLOB NOT NULL CHECK (length(planned) = 32),
  judged_by  BLOB NOT NULL CHECK (length(judged_by) = 32),
  realised   BLOB NOT NULL CHECK (length(realised) = 32),
  -- JSON with a version.
  way        TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (planned, judged_by)
) STRICT, WITHOUT ROWID;

-- What was known of art when it was drawn, in JSON: whoever sets other words over it is told the same.
ALTER TABLE arts ADD COLUMN findings TEXT;

-- A picture that the checks refused is a picture too, and was not the accepted one; a draft that was enlarged is.
DROP VIEW first_accept_by_model;
CREATE VIEW first_accept_by_model AS
WITH first AS (SELECT job_id, min(n) AS n FROM attempts WHERE outcome IN ('rendered', 'refused') GROUP BY job_id)
SELECT
  a.engine AS engine, a.model AS model, j.intent AS intent,
  count(*)                                                              AS pictures,
  sum(j.state = 'done' AND (j.attempts = a.n OR e.job_id IS NOT NULL) AND coalesce(json_extract(r.json, '$.verdict.passed'), 0)) AS accepted,
  avg(j.state = 'done' AND (j.attempts = a.n OR e.job_id IS NOT NULL) AND coalesce(json_extract(r.json, '$.verdict.passed'), 0)) AS rate
FROM first
JOIN attempts AS a ON a.job_id = first.job_id AND a.n = first.n
JOIN jobs AS j ON j.id = a.job_id
LEFT JOIN repairs AS e ON e.job_id = a.job_id AND e.attempt = a.n AND json_extract(e.step, '$.step') = 'enlarge'
LEFT JOIN renders AS r ON r.realised = j.realised
WHERE j.state IN ('done', 'failed')
GROUP BY a.engine, a.model, j.intent;

-- What was done about refused pictures, by step: how often, and what the art before each had cost.
CREATE VIEW repairs_by_step AS
SELECT
  json_extract(r.step, '$.step')                       AS step,
  count(*)                                             AS times,
  -- The job ended with the picture that the step gave.
  sum(j.state = 'done' AND r.n = (SELECT max(n) FROM repairs AS last WHERE last.job_id = r.job_id)) AS mended,
  sum(r.cost_micros) / 1e6                             AS refused_usd,
  sum(r.latency_ms)                                    AS refused_ms
FROM repairs AS r JOIN jobs AS j ON j.id = r.job_id
WHERE json_extract(r.step, '$.step') <> 'enlarge'
GROUP BY 1;
