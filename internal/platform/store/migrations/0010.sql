-- oldest: 8
-- What is kept of clusters of ended runs that forget it themselves: how their processes ended (JSON), and the ends of their logs.
CREATE TABLE kept_clusters (
  run TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE, status TEXT NOT NULL
);
CREATE TABLE kept_logs (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, process TEXT NOT NULL,
  content BYTES NOT NULL, -- gzip
  PRIMARY KEY (run, process)
);
