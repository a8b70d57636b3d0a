/* leading
   comment */ -- more
CREATE TABLE /* here */ s ( -- columns
  id INT, -- the id; really
  /* gone, */ ts TIMESTAMP(3) METADATA -- FROM
    FROM 'timestamp'
    VIRTUAL,
  // slashes
  v STRING
) /* before with */ WITH ( -- options
  'connector' = 'kafka', -- it's kafka
  'a' = 'b;c'
) -- end
;
SELECT id, v
FROM s /*+ OPTIONS('x'
  = 'y') */
WHERE id > 0 -- done
;
