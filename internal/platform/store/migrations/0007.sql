CREATE TABLE artifact_parts ( -- contents of artifacts, where several servers share the database; else they are files only
  digest TEXT NOT NULL, part BIGINT NOT NULL, -- from 0
  content BYTES NOT NULL, PRIMARY KEY (digest, part)
);
