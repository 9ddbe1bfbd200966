-- What was counted in each minute, with what the reference data says of the key; keys that it does not know are left out.
-- It is aggregated first and joined last, and a minute waits for its reference for as long as the hint says.
INSERT INTO enriched
SELECT /*+ STATE_TTL('counted' = '1h') */
  counted.window_end, counted.cmd, counted.`key`, counted.amount, reference.title, reference.category
FROM (
  SELECT `key`, cmd, window_end, SUM(amount) AS amount
  FROM TABLE(TUMBLE(TABLE taken, DESCRIPTOR(arrival), INTERVAL '1' MINUTE))
  GROUP BY `key`, cmd, window_start, window_end
) AS counted
JOIN reference ON counted.`key` = reference.`key`;
