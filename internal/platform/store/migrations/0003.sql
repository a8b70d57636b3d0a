-- What is needed to remove things when their time has come, without a look at everything.
ALTER TABLE runs ADD COLUMN cleared BIGINT; -- when its directory and logs were removed; null: they may be there
ALTER TABLE runs ADD COLUMN points TEXT;    -- JSON: what its archives offer to start from; null: not read yet
CREATE INDEX runs_ended ON runs (ended, id) WHERE ended IS NOT NULL;
CREATE INDEX runs_uncleared ON runs (ended, id) WHERE ended IS NOT NULL AND cleared IS NULL;
CREATE INDEX runs_points ON runs (job, created, id) WHERE points IS NULL OR points <> '[]';

CREATE TABLE removals ( -- directories of runs that have no row any more
  run TEXT PRIMARY KEY, since BIGINT NOT NULL
);
CREATE INDEX removals_since ON removals (since, run);

ALTER TABLE events ADD COLUMN person BIGINT NOT NULL DEFAULT 0; -- 1: a user did it; it is kept longer than its run
UPDATE events SET person = 1 WHERE event LIKE '%"source":"user"%';
CREATE INDEX events_of_people ON events (at, id) WHERE person = 1;

CREATE TABLE version_artifacts ( -- artifacts that versions name, whether they exist or not
  team TEXT NOT NULL, name TEXT NOT NULL, job TEXT NOT NULL, number BIGINT NOT NULL,
  PRIMARY KEY (team, name, job, number),
  FOREIGN KEY (job, number) REFERENCES versions (job, number) ON DELETE CASCADE
);
CREATE INDEX version_artifacts_version ON version_artifacts (job, number);
ALTER TABLE artifacts ADD COLUMN unused BIGINT; -- since when no version names it; null: one does
CREATE INDEX artifacts_unused ON artifacts (unused, team, name) WHERE unused IS NOT NULL;
CREATE INDEX artifacts_digest ON artifacts (digest);

CREATE INDEX answers_created ON answers (created);
