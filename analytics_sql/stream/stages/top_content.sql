-- The ten contents that were viewed most in the last hour, every minute, for the rule of content.top. `from` says since
-- when views are counted: a new generation has no whole hour behind it.
INSERT INTO tops
SELECT
  1,
  '${generation}/content.top/' || CAST(window_number AS STRING),
  'content.top',
  'top/1h',
  'stage/${generation}/content.top',
  window_number,
  ROW(window_number, GREATEST(window_begin, ${begin}), top)
FROM (
  SELECT
    EXTRACT(EPOCH FROM window_end) AS window_number,
    EXTRACT(EPOCH FROM window_start) AS window_begin,
    ARRAY_AGG(CAST(ROW(place, `key`, `views`) AS ROW<place BIGINT, `key` STRING, `views` BIGINT>)) AS top
  FROM (
    SELECT *
    FROM (
      SELECT
        *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY `views` DESC, `key` ASC) AS place
      FROM (
        SELECT `key`, window_start, window_end, SUM(amount) AS `views`
        FROM TABLE(HOP(
          (SELECT `key`, amount, arrival FROM taken WHERE cmd = 'content.view'),
          DESCRIPTOR(arrival), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
        GROUP BY `key`, window_start, window_end
      )
    )
    WHERE place <= 10
  )
  GROUP BY window_start, window_end
);
