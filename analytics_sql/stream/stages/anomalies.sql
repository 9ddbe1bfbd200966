-- A client that sends far more in a minute than it did in the quarter of an hour before, for the rule of client.alert:
-- 100 requests or more, and 10 times its average minute. The client is who it says it is. What came before the stage's
-- time is history.
INSERT INTO alerts
SELECT
  1,
  CASE WHEN CHAR_LENGTH(name) <= 128 THEN name ELSE SHA256(name) END,
  'client.alert',
  CASE WHEN CHAR_LENGTH(client) <= 250 THEN 'alert/' || client ELSE 'alert/' || SHA256(client) END,
  'stage/${generation}/client.alert',
  window_number,
  ROW(window_number, client, requests, before)
FROM (
  SELECT
    *,
    requests_then - requests AS before,
    '${generation}/client.alert/' || CAST(window_number AS STRING) || '/' || client AS name
  FROM (
    SELECT
      client, requests, window_number,
      SUM(requests) OVER (
        PARTITION BY client ORDER BY window_time RANGE BETWEEN INTERVAL '15' MINUTE PRECEDING AND CURRENT ROW
      ) AS requests_then
    FROM (
      SELECT client, window_time, EXTRACT(EPOCH FROM window_end) AS window_number, COUNT(*) AS requests
      FROM TABLE(TUMBLE(
        (SELECT client, arrival FROM requests WHERE client IS NOT NULL),
        DESCRIPTOR(arrival), INTERVAL '1' MINUTE))
      GROUP BY client, window_start, window_end, window_time
    )
  )
)
WHERE window_number > ${begin} AND requests >= 100 AND requests * 15 >= before * 10;
