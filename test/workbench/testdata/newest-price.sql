-- Each trade with the price of its moment (temporal join of a versioned table), the newest trade of each symbol kept.
CREATE TABLE prices (
  symbol STRING, price DOUBLE, changed TIMESTAMP(3), PRIMARY KEY (symbol) NOT ENFORCED,
  WATERMARK FOR changed AS changed - INTERVAL '1' SECOND
) WITH ('connector' = 'upsert-kafka', 'topic' = 'prices', 'properties.bootstrap.servers' = 'kafka:9092', 'key.format' = 'json', 'value.format' = 'json');
CREATE TABLE trades (
  id BIGINT, symbol STRING, amount INT, done TIMESTAMP(3),
  WATERMARK FOR done AS done - INTERVAL '1' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'trades', 'properties.bootstrap.servers' = 'kafka:9092', 'format' = 'json');
CREATE TABLE newest (symbol STRING, id BIGINT, amount INT, PRIMARY KEY (symbol) NOT ENFORCED)
  WITH ('connector' = 'jdbc', 'url' = 'jdbc:postgresql://db/trades', 'table-name' = 'newest');
CREATE VIEW numbered AS
  SELECT *, ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY done DESC) AS n FROM trades;

INSERT INTO newest SELECT symbol, id, amount FROM numbered WHERE n = 1;
