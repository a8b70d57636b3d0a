--! since 1.16
--! absent fluss
--! prints enriched_orders> +I[
CREATE TEMPORARY TABLE source_order (order_key BIGINT, cust_key INT, total_price DECIMAL(15, 2), order_date DATE) WITH ('connector' = 'faker', 'fields.order_key.expression' = '#{x}');
CREATE CATALOG fluss_catalog WITH ('type' = 'fluss', 'bootstrap.servers' = 'coordinator-server:9123');
USE CATALOG fluss_catalog;
CREATE TABLE fluss_order (`order_key` BIGINT, `cust_key` INT NOT NULL, `total_price` DECIMAL(15, 2), `order_date` DATE, `ptime` AS PROCTIME(), PRIMARY KEY (`order_key`) NOT ENFORCED);
CREATE TABLE fluss.fluss_customer (`cust_key` INT NOT NULL, `name` STRING, `nation_key` INT NOT NULL, PRIMARY KEY (`cust_key`) NOT ENFORCED) WITH ('bucket.num' = '4');
CREATE TABLE fluss_nation (`nation_key` INT NOT NULL, `name` STRING, PRIMARY KEY (`nation_key`) NOT ENFORCED);
CREATE TABLE enriched_orders (`order_key` BIGINT, `cust_name` STRING, `nation_name` STRING, PRIMARY KEY (`order_key`) NOT ENFORCED) WITH ('table.datalake.enabled' = 'true');
EXECUTE STATEMENT SET
BEGIN
    INSERT INTO fluss_order SELECT * FROM `default_catalog`.`default_database`.source_order;
    INSERT INTO fluss_customer VALUES (1, 'a', 1);
END;
INSERT INTO enriched_orders
SELECT o.order_key, c.name, n.name
FROM fluss_order o
LEFT JOIN fluss_customer FOR SYSTEM_TIME AS OF `o`.`ptime` AS `c` ON o.cust_key = c.cust_key
LEFT JOIN fluss_nation FOR SYSTEM_TIME AS OF `o`.`ptime` AS `n` ON c.nation_key = n.nation_key;
SELECT snapshot_id, operation FROM enriched_orders$lake$snapshots;
UPDATE fluss_customer SET `name` = 'fluss_updated' WHERE `cust_key` = 1;
DELETE FROM fluss_customer WHERE `cust_key` = 1;
