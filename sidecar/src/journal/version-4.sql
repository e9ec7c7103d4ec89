-- Version 4: views for people, described in docs/ledger.md. Nothing of Thumbforge writes them, and only `costs` reads one.
-- Days are those of UTC. Dollars are floats for reading; sums that must be exact are made of the micros.

-- Every attempt that the journal still has, in words. Money is absent for what this machine drew itself.
CREATE VIEW attempts_all AS
SELECT
  a.job_id                                                     AS job,
  a.n                                                          AS attempt,
  date(a.started_ms / 1000, 'unixepoch')                       AS day,
  strftime('%Y-%m-%dT%H:%M:%SZ', a.started_ms / 1000, 'unixepoch') AS started,
  j.client                                                     AS project,
  j.batch                                                      AS batch,
  j.asset                                                      AS asset,
  j.locale                                                     AS locale,
  j.tier                                                       AS tier,
  j.intent                                                     AS intent,
  a.engine                                                     AS engine,
  a.model                                                      AS model,
  a.wire_model                                                 AS wire_model,
  a.provider                                                   AS provider,
  a.account                                                    AS account,
  a.key_id                                                     AS key_id,
  lower(hex(j.planned))                                        AS planned_key,
  lower(hex(a.realised))                                       AS realised_key,
  a.seed                                                       AS seed,
  a.settings                                                   AS settings,
  coalesce(a.outcome, 'running')                               AS outcome,
  a.note                                                       AS note,
  j.state                                                      AS job_state,
  a.quoted_micros                                              AS quoted_micros,
  a.reserved_micros                                            AS reserved_micros,
  a.settled_micros                                             AS settled_micros,
  a.settled_micros / 1e6                                       AS settled_usd,
  a.text_tokens                                                AS text_tokens,
  a.image_tokens                                               AS image_tokens,
  a.output_tokens                                              AS output_tokens,
  a.credits_milli / 1e3                                        AS credits,
  coalesce(a.latency_ms, a.ended_ms - a.started_ms)            AS latency_ms,
  a.provider_id                                                AS provider_call
FROM attempts AS a JOIN jobs AS j ON j.id = a.job_id;

-- Every purchase there ever was, one row a call, on the day on which its money was set aside; budgets count that day.
-- state is paid, free (nothing was billed), assumed (nobody knows; counted as billed) or open (under way, or nobody
-- knows yet: what was set aside stays so). outcome is absent once the journal has forgotten the job.
CREATE VIEW purchases AS
SELECT
  r.job_id                               AS job,
  r.attempt                              AS attempt,
  date(r.ts_ms / 1000, 'unixepoch')      AS day,
  r.client                               AS project,
  r.batch                                AS batch,
  r.asset                                AS asset,
  r.locale                               AS locale,
  r.tier                                 AS tier,
  r.model                                AS model,
  r.provider                             AS provider,
  r.account                              AS account,
  CASE e.kind WHEN 'settle' THEN 'paid' WHEN 'release' THEN 'free' WHEN 'assume' THEN 'assumed' ELSE 'open' END
                                         AS state,
  a.outcome                              AS outcome,
  r.amount_micros                        AS reserved_micros,
  coalesce(e.amount_micros, 0)           AS spent_micros,
  iif(e.id IS NULL, r.amount_micros, 0)  AS open_micros
FROM ledger AS r
LEFT JOIN ledger AS e ON e.job_id = r.job_id AND e.attempt = r.attempt AND e.kind IN ('settle', 'release', 'assume')
LEFT JOIN attempts AS a ON a.job_id = r.job_id AND a.n = r.attempt
WHERE r.kind = 'reserve';

-- What 1000 pictures of a model cost, with everything that was billed on the way to them.
CREATE VIEW cost_per_1000_by_model AS
SELECT
  provider, model,
  count(*)                                                                AS calls,
  sum(outcome = 'rendered')                                               AS pictures,
  sum(settled_micros) / 1e6                                               AS spent_usd,
  sum(settled_micros) / 1e3 / nullif(sum(outcome = 'rendered'), 0)        AS usd_per_1000
FROM attempts_all WHERE account IS NOT NULL AND outcome <> 'running'
GROUP BY provider, model;

-- What 1000 hosted pictures of a locale cost. Locales share art: the first that needs it pays, the others are in
-- `pictures` and cost nothing. Pictures that were in the store already are not counted.
CREATE VIEW cost_per_1000_by_locale AS
SELECT
  locale,
  count(*)                                       AS pictures,
  sum(bought > 0)                                AS bought,
  sum(spent_micros) / 1e6                        AS spent_usd,
  sum(spent_micros) / 1e3 / count(*)             AS usd_per_1000
FROM (
  SELECT
    j.locale AS locale,
    (SELECT count(*) FROM attempts AS a WHERE a.job_id = j.id AND a.account IS NOT NULL) AS bought,
    (SELECT coalesce(sum(a.settled_micros), 0) FROM attempts AS a WHERE a.job_id = j.id) AS spent_micros
  FROM jobs AS j JOIN renders AS r ON r.realised = j.realised
  WHERE j.state = 'done' AND j.cached = 0 AND json_extract(r.json, '$.realisation.device_class') = 'hosted'
)
GROUP BY locale;

-- How often the first picture that a model gave for a job passed the checks and was kept. People's own decisions are in
-- thumbforge.approvals, not here.
CREATE VIEW first_accept_by_model AS
WITH first AS (SELECT job_id, min(n) AS n FROM attempts WHERE outcome = 'rendered' GROUP BY job_id)
SELECT
  a.engine AS engine, a.model AS model, j.intent AS intent,
  count(*)                                                              AS pictures,
  sum(j.state = 'done' AND j.attempts = a.n AND coalesce(json_extract(r.json, '$.verdict.passed'), 0)) AS accepted,
  avg(j.state = 'done' AND j.attempts = a.n AND coalesce(json_extract(r.json, '$.verdict.passed'), 0)) AS rate
FROM first
JOIN attempts AS a ON a.job_id = first.job_id AND a.n = first.n
JOIN jobs AS j ON j.id = a.job_id
LEFT JOIN renders AS r ON r.realised = j.realised
WHERE j.state IN ('done', 'failed')
GROUP BY a.engine, a.model, j.intent;

-- How long pictures take: of half of them, of 95 and of 99 in 100, at most. By nearest rank, so each is a time that was.
CREATE VIEW latency_by_model AS
SELECT
  engine, model,
  count(*)                                                    AS pictures,
  min(CASE WHEN place * 100 >= 50 * n THEN latency_ms END) AS p50_ms,
  min(CASE WHEN place * 100 >= 95 * n THEN latency_ms END) AS p95_ms,
  min(CASE WHEN place * 100 >= 99 * n THEN latency_ms END) AS p99_ms,
  max(latency_ms)                                             AS max_ms
FROM (
  SELECT
    engine, model, latency_ms,
    row_number() OVER (PARTITION BY engine, model ORDER BY latency_ms) AS place,
    count(*) OVER (PARTITION BY engine, model)                         AS n
  FROM attempts_all WHERE outcome = 'rendered' AND latency_ms IS NOT NULL
)
GROUP BY engine, model;

-- What was spent, and what is still set aside, by day.
CREATE VIEW spend_by_day AS
SELECT day, count(*) AS calls, sum(spent_micros) / 1e6 AS spent_usd, sum(open_micros) / 1e6 AS open_usd
FROM purchases GROUP BY day;

-- The same by provider and account.
CREATE VIEW spend_by_provider AS
SELECT provider, account, count(*) AS calls, sum(spent_micros) / 1e6 AS spent_usd, sum(open_micros) / 1e6 AS open_usd
FROM purchases GROUP BY provider, account;

-- The same by project and tier.
CREATE VIEW spend_by_project AS
SELECT project, tier, count(*) AS calls, sum(spent_micros) / 1e6 AS spent_usd, sum(open_micros) / 1e6 AS open_usd
FROM purchases GROUP BY project, tier;

-- How calls end, by model: what a provider refuses, throttles or leaves unanswered.
CREATE VIEW outcomes_by_model AS
SELECT
  provider, model, outcome, count(*) AS calls,
  count(*) * 1.0 / sum(count(*)) OVER (PARTITION BY provider, model) AS share
FROM attempts_all WHERE account IS NOT NULL
GROUP BY provider, model, outcome;
