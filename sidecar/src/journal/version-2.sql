-- Version 2: requests that clients may send again under the same number, and findings of jobs that failed the checks.
CREATE TABLE requests (
  request BLOB    PRIMARY KEY CHECK (length(request) = 24),
  job_id  INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
-- Forgetting a job looks for its requests.
CREATE INDEX requests_job ON requests (job_id);

-- JSON; with the error they are what whoever asks again is told.
ALTER TABLE jobs ADD COLUMN findings TEXT;
