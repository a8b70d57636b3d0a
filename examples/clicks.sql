-- Clicks per page and country, kept up to date in a compacted Kafka topic.
--
--   flink-entrypoint debug examples/clicks.sql
--
-- runs this script as it is, without Kafka, a database, or their jars.

SET 'pipeline.name' = 'clicks-per-page';
SET 'table.exec.state.ttl' = '1 h';

-- What users do, as the web servers write it.
CREATE TABLE clicks (
  user_id    BIGINT,
  page       STRING,
  ts         BIGINT COMMENT 'milliseconds since 1970',
  `offset`   BIGINT METADATA VIRTUAL,
  event_time AS TO_TIMESTAMP_LTZ(ts, 3),
  proc_time  AS PROCTIME(),
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'clicks',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.group.id' = 'clicks-per-page',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

-- What users buy.
CREATE TABLE orders (
  order_id   STRING,
  user_id    BIGINT,
  amount     DECIMAL(10, 2),
  order_time TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
  WATERMARK FOR order_time AS order_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'orders',
  'properties.bootstrap.servers' = 'kafka:9092',
  'format' = 'json'
);

-- Who the users are.
CREATE TABLE users (
  id      BIGINT,
  name    STRING,
  country STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:mysql://db:3306/crm',
  'table-name' = 'users',
  'lookup.cache' = 'PARTIAL'
);

CREATE TABLE clicks_per_page (
  page    STRING,
  country STRING,
  clicks  BIGINT,
  users   BIGINT,
  PRIMARY KEY (page, country) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'clicks-per-page',
  'properties.bootstrap.servers' = 'kafka:9092',
  'key.format' = 'json',
  'value.format' = 'json'
);

CREATE TABLE revenue (
  country STRING,
  orders  BIGINT,
  amount  DECIMAL(10, 2),
  PRIMARY KEY (country) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'revenue',
  'properties.bootstrap.servers' = 'kafka:9092',
  'key.format' = 'json',
  'value.format' = 'json'
);

CREATE TEMPORARY VIEW known_clicks AS
SELECT /*+ LOOKUP('table' = 'u', 'async' = 'true') */ c.page, c.user_id, c.event_time, u.country
FROM clicks /*+ OPTIONS('scan.parallelism' = '4') */ AS c
LEFT JOIN users FOR SYSTEM_TIME AS OF c.proc_time AS u
  ON c.user_id = u.id;

INSERT INTO clicks_per_page
SELECT page, COALESCE(country, 'unknown'), COUNT(*), COUNT(DISTINCT user_id)
FROM known_clicks
GROUP BY page, COALESCE(country, 'unknown');

INSERT INTO revenue
SELECT k.country, COUNT(DISTINCT o.order_id), SUM(o.amount)
FROM orders AS o
JOIN known_clicks AS k ON o.user_id = k.user_id
WHERE k.country IS NOT NULL
GROUP BY k.country;
