-- Times are milliseconds since 1970 by the database's own clock. JSON is text.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE jobs (
  name TEXT PRIMARY KEY, team TEXT NOT NULL, created BIGINT NOT NULL, created_by TEXT NOT NULL,
  newest BIGINT NOT NULL -- number of its newest version
);
CREATE INDEX jobs_team ON jobs (team, name);

CREATE TABLE versions (
  job TEXT NOT NULL REFERENCES jobs (name) ON DELETE CASCADE, number BIGINT NOT NULL,
  document BYTES NOT NULL, digest TEXT NOT NULL, -- of what pods get, catalogs written in
  source BYTES NOT NULL, -- what the user sent
  catalogs TEXT NOT NULL, -- JSON: [{name, revision}], those that were written in
  comment TEXT NOT NULL, created BIGINT NOT NULL, created_by TEXT NOT NULL,
  PRIMARY KEY (job, number)
);

CREATE TABLE catalogs (
  name TEXT NOT NULL, team TEXT NOT NULL, revision BIGINT NOT NULL, statement TEXT NOT NULL,
  changed BIGINT NOT NULL, changed_by TEXT NOT NULL, PRIMARY KEY (team, name)
);

CREATE TABLE artifacts (
  name TEXT NOT NULL, team TEXT NOT NULL, digest TEXT NOT NULL, size BIGINT NOT NULL,
  created BIGINT NOT NULL, created_by TEXT NOT NULL, PRIMARY KEY (team, name)
);

CREATE TABLE runs (
  id TEXT PRIMARY KEY, job TEXT NOT NULL REFERENCES jobs (name), version BIGINT NOT NULL,
  revision BIGINT NOT NULL, -- grows by one with each transition
  queue TEXT NOT NULL, condition TEXT NOT NULL, desired TEXT NOT NULL, outcome TEXT NOT NULL, -- of the state, to search by
  state TEXT NOT NULL,   -- JSON: jobstate.Run
  pending TEXT NOT NULL, -- JSON: effects that are not done yet
  cluster TEXT NOT NULL, -- JSON: what the driver must know to find the cluster again
  asked TEXT NOT NULL,   -- JSON: what the user asked for at the start
  created BIGINT NOT NULL, ended BIGINT, -- null: it has not ended
  due BIGINT, -- null: not looked at again
  owner TEXT NOT NULL, lease BIGINT NOT NULL -- 0: free
);
CREATE UNIQUE INDEX runs_open ON runs (job) WHERE ended IS NULL;
CREATE INDEX runs_due ON runs (queue, due) WHERE due IS NOT NULL;
CREATE INDEX runs_of_job ON runs (job, created);

CREATE TABLE attempts (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, attempt TEXT NOT NULL, started BIGINT NOT NULL,
  ended BIGINT, code BIGINT, message TEXT NOT NULL, PRIMARY KEY (run, attempt)
);

CREATE TABLE events (
  id AUTOID, run TEXT NOT NULL, job TEXT NOT NULL, team TEXT NOT NULL,
  revision BIGINT NOT NULL, position BIGINT NOT NULL, at BIGINT NOT NULL,
  event TEXT NOT NULL, -- JSON: jobstate.Event
  UNIQUE (run, revision, position)
);
CREATE INDEX events_job ON events (job, id);

CREATE TABLE archives (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL,
  content BYTES NOT NULL, -- gzip
  stored BIGINT NOT NULL, PRIMARY KEY (run, name)
);

CREATE TABLE outbox (
  id AUTOID, kind TEXT NOT NULL, name TEXT NOT NULL, payload TEXT NOT NULL, created BIGINT NOT NULL,
  due BIGINT NOT NULL, tries BIGINT NOT NULL, UNIQUE (kind, name)
);
CREATE INDEX outbox_due ON outbox (due);

CREATE TABLE tokens (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, team TEXT NOT NULL, run TEXT NOT NULL, -- run: the one run that it is for, or empty
  digest TEXT NOT NULL UNIQUE, created BIGINT NOT NULL, expires BIGINT -- null: never
);

CREATE TABLE answers ( -- of requests with an Idempotency-Key
  token TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, status BIGINT NOT NULL, body BYTES NOT NULL, created BIGINT NOT NULL,
  PRIMARY KEY (token, key)
);
