-- Orders that were shipped within an hour of their time (interval join), with what is known of the customer.
CREATE TABLE orders (
  order_id STRING, customer ROW<id BIGINT, city STRING>, total DECIMAL(12, 2), ordered TIMESTAMP_LTZ(3),
  WATERMARK FOR ordered AS ordered - INTERVAL '5' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'orders', 'properties.bootstrap.servers' = 'kafka:9092', 'format' = 'avro');
CREATE TABLE shipments (
  order_id STRING, carrier STRING, shipped TIMESTAMP_LTZ(3),
  WATERMARK FOR shipped AS shipped - INTERVAL '5' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'shipments', 'properties.bootstrap.servers' = 'kafka:9092', 'format' = 'json');
CREATE TABLE in_time (order_id STRING, city STRING, carrier STRING, minutes INT)
  WITH ('connector' = 'filesystem', 'path' = 's3://results/in-time', 'format' = 'parquet');

INSERT INTO in_time
SELECT o.order_id, o.customer.city, s.carrier, TIMESTAMPDIFF(MINUTE, o.ordered, s.shipped)
FROM orders o JOIN shipments s ON o.order_id = s.order_id AND s.shipped BETWEEN o.ordered - INTERVAL '1' HOUR AND o.ordered + INTERVAL '1' HOUR;
