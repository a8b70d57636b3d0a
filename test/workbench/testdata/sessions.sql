-- Visits: what a user did without a pause of more than ten seconds, and a filter into two sinks by one statement set.
CREATE TABLE visits (
  user_id BIGINT, url STRING, tags ARRAY<STRING>, seen AS PROCTIME(), at_ms BIGINT, at_time AS TO_TIMESTAMP_LTZ(at_ms, 3),
  WATERMARK FOR at_time AS at_time - INTERVAL '2' SECOND
) WITH ('connector' = 'kinesis', 'stream' = 'visits', 'aws.region' = 'eu-west-1', 'format' = 'json');
CREATE TABLE pages (user_id BIGINT, host STRING, path STRING) WITH ('connector' = 'kafka', 'topic' = 'pages', 'properties.bootstrap.servers' = 'kafka:9092', 'format' = 'json');
CREATE TABLE tags (user_id BIGINT, tag STRING) WITH ('connector' = 'kafka', 'topic' = 'tags', 'properties.bootstrap.servers' = 'kafka:9092', 'format' = 'json');

EXECUTE STATEMENT SET BEGIN
  INSERT INTO pages SELECT user_id, REGEXP_EXTRACT(url, '^([a-z0-9.]+)', 1), SUBSTRING(url, 5) FROM visits WHERE MOD(user_id, 2) = 0;
  INSERT INTO tags SELECT v.user_id, LOWER(t.tag) FROM visits v CROSS JOIN UNNEST(v.tags) AS t (tag);
END;
