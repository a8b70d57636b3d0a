CREATE TABLE s (id INT, name STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='mysql-cdc', 'hostname'='h', 'password'='p');
CREATE TABLE d (id INT, city STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='mysql-cdc');
CREATE TABLE o (id INT, name STRING, city STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector'='starrocks');
INSERT INTO o SELECT s.id, s.name, d.city FROM s LEFT JOIN d ON s.id = d.id;
