--! keep small
--! prints row> +I[1]
CREATE TABLE small (id INT) WITH ('connector'='datagen', 'number-of-rows'='1', 'fields.id.kind'='sequence', 'fields.id.start'='1', 'fields.id.end'='1');
CREATE TABLE big (id INT) WITH ('connector'='kafka');
SELECT * FROM small /*+ OPTIONS('rows-per-second'='3') */;
SELECT * FROM big;
