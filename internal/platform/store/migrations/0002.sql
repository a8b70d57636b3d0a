-- Session clusters: entries of the table jobs that have versions and runs as jobs have, but a cluster and no Flink job.
ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'job'; -- job or cluster
ALTER TABLE runs ADD COLUMN session TEXT NOT NULL DEFAULT ''; -- name of the session cluster that it runs on
ALTER TABLE runs ADD COLUMN session_run TEXT NOT NULL DEFAULT ''; -- the run of that cluster that got its job, once that is chosen
ALTER TABLE runs ADD COLUMN flink_job TEXT NOT NULL DEFAULT ''; -- id of its Flink job, where the platform gave one
CREATE INDEX runs_session ON runs (session) WHERE session <> '';
CREATE INDEX runs_session_run ON runs (session_run, flink_job) WHERE session_run <> '';
