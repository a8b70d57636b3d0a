-- The three products of each category that sell best.
CREATE TABLE sales (
  product_id BIGINT,
  category   STRING,
  quantity   INT,
  sold_at    TIMESTAMP(3),
  WATERMARK FOR sold_at AS sold_at - INTERVAL '10' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'sales', 'properties.bootstrap.servers' = 'kafka:9092', 'format' = 'json');

CREATE TABLE best (
  category   STRING,
  product_id BIGINT,
  sold       BIGINT,
  place      BIGINT,
  PRIMARY KEY (category, place) NOT ENFORCED
) WITH ('connector' = 'upsert-kafka', 'topic' = 'best', 'properties.bootstrap.servers' = 'kafka:9092', 'key.format' = 'json', 'value.format' = 'json');

INSERT INTO best
SELECT category, product_id, sold, place FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY category ORDER BY sold DESC) AS place
  FROM (SELECT category, product_id, SUM(CAST(quantity AS BIGINT)) AS sold FROM sales GROUP BY category, product_id)
) WHERE place <= 3;
