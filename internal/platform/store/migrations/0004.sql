-- Archives in parts, so that none has to be in memory as a whole.
CREATE TABLE archive_parts (
  run TEXT NOT NULL, name TEXT NOT NULL, part BIGINT NOT NULL, -- from 0
  content BYTES NOT NULL, -- the parts together are one gzip file
  PRIMARY KEY (run, name, part), FOREIGN KEY (run, name) REFERENCES archives (run, name) ON DELETE CASCADE
);
INSERT INTO archive_parts (run, name, part, content) SELECT run, name, 0, content FROM archives;
ALTER TABLE archives ADD COLUMN size BIGINT NOT NULL DEFAULT 0; -- bytes of all parts
UPDATE archives SET size = LENGTH(content);
ALTER TABLE archives DROP COLUMN content;
