--! prints o> +I[
CREATE TABLE orders (id INT, currency STRING, price DECIMAL(10, 2), ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='kafka');
CREATE TABLE rates (currency STRING, rate DECIMAL(10, 4), ts TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL, WATERMARK FOR ts AS ts, PRIMARY KEY (currency) NOT ENFORCED) WITH ('connector'='upsert-kafka');
CREATE TABLE o (id INT, price DECIMAL(20, 4)) WITH ('connector'='kafka');
INSERT INTO o SELECT o.id, o.price * r.rate FROM orders AS o LEFT JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.currency = r.currency;
