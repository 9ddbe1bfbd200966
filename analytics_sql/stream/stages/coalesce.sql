-- One request for each key, command and window in which something was taken: the generation's total through the window.
-- It is a total and no difference, so that a window that comes again or is overtaken does no harm.
INSERT INTO totals
SELECT
  1,
  CASE WHEN CHAR_LENGTH(name) <= 128 THEN name ELSE SHA256(name) END,
  cmd,
  `key`,
  'stage/${generation}/' || cmd,
  window_number,
  ROW(total, window_number)
FROM (
  SELECT
    *,
    '${generation}/' || cmd || '/' || CAST(window_number AS STRING) || '/' || `key` AS name
  FROM (
    SELECT
      `key`, cmd, window_number,
      SUM(amount) OVER (
        PARTITION BY `key`, cmd ORDER BY window_time ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS total
    FROM (
      SELECT `key`, cmd, window_time, EXTRACT(EPOCH FROM window_end) AS window_number, SUM(amount) AS amount
      FROM TABLE(TUMBLE(TABLE taken, DESCRIPTOR(arrival), INTERVAL '${window_seconds}' SECOND(5)))
      GROUP BY `key`, cmd, window_start, window_end, window_time
    )
  )
);
