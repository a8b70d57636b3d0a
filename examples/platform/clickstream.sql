CREATE CATALOG clickstream WITH ('type' = 'generic_in_memory', 'default-database' = 'web')
