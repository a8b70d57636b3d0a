-- oldest: 8
-- Of servers that get the same request with an Idempotency-Key at the same time, one does it.
CREATE TABLE reservations (
  token TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL,
  id TEXT NOT NULL, -- stays when another server takes it over
  owner TEXT NOT NULL, lease BIGINT NOT NULL,
  PRIMARY KEY (token, key)
);
CREATE INDEX reservations_lease ON reservations (lease);
-- The reservation of the request that made it, so that the same request makes it once; empty: it had no key.
ALTER TABLE versions ADD COLUMN reservation TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN reservation TEXT NOT NULL DEFAULT '';
