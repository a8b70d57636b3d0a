--! prints page_stats> +I[
CREATE TABLE k (user_id BIGINT, page STRING, ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', pt AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
WITH ('connector' = 'kafka', 'topic' = 't', 'properties.bootstrap.servers' = 'b:9092', 'format' = 'json');
CREATE TABLE dim (id BIGINT, name STRING) WITH ('connector' = 'jdbc', 'url' = 'jdbc:mysql://h/d', 'table-name' = 'u', 'password' = 's3cret');
CREATE TABLE page_stats (page STRING, name STRING, c BIGINT, PRIMARY KEY (page) NOT ENFORCED) WITH ('connector' = 'upsert-kafka', 'topic' = 'o', 'properties.bootstrap.servers' = 'b:9092', 'key.format' = 'json', 'value.format' = 'json');
CREATE VIEW enriched AS SELECT k.page, d.name FROM k LEFT JOIN dim FOR SYSTEM_TIME AS OF k.pt AS d ON k.user_id = d.id;
INSERT INTO page_stats SELECT page, MAX(name), COUNT(*) FROM enriched GROUP BY page;
