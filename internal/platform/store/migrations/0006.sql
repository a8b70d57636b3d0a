-- What the versions of a team take, without a look at their texts.
ALTER TABLE versions ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
UPDATE versions SET size = LENGTH(document) + LENGTH(source) + LENGTH(comment) + 1024;
CREATE INDEX versions_size ON versions (job, size);
