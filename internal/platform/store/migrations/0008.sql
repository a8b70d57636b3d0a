-- What people should know of jobs: written by the transition that begins or ends it, sent until a receiver has it.
CREATE TABLE alerts (
  id AUTOID, job TEXT NOT NULL, name TEXT NOT NULL, team TEXT NOT NULL, run TEXT NOT NULL,
  since BIGINT NOT NULL, resolved BIGINT, -- null: it goes on
  change BIGINT NOT NULL, -- grows each time it begins or ends
  told BIGINT NOT NULL,   -- the change that a receiver has heard of; 0: none
  due BIGINT,             -- null: nothing is to be sent
  lease BIGINT NOT NULL,  -- 0: no sender holds it
  tries BIGINT NOT NULL,  -- since then
  UNIQUE (job, name)
);
CREATE INDEX alerts_due ON alerts (due) WHERE due IS NOT NULL;
