-- Which requests a stage reads. docs/contract.md, "The analytics stage", has the conditions in words, and
-- consumers/tidemill_consumers/core/stage/leaving.py has them for the functions.

-- Requests that keep the contract, with what tells them from their repeats: writer and counter, or the id.
CREATE TEMPORARY VIEW requests AS
SELECT
  id, cmd, partition_key AS `key`, client, w, `ref`, data, arrival,
  CASE WHEN n IS NULL THEN id ELSE COALESCE(w, id) END AS sender,
  CASE WHEN w IS NULL THEN -1 ELSE COALESCE(n, -1) END AS number,
  -- An aggregate's mark holds for all that is in it. Where the request states a time too, the lower one counts.
  CASE WHEN mark < tried OR tried IS NULL THEN mark ELSE tried END AS tried
FROM (
  SELECT
    *,
    CASE WHEN record_partition_key LIKE 'lane-% tried %' AND record_partition_key <> partition_key
      THEN TRY_CAST(REGEXP_EXTRACT(record_partition_key, '^lane-[0-9]+ tried (0|[1-9][0-9]{0,18})$$', 1) AS BIGINT)
    END AS mark
  FROM arrivals
)
WHERE (v IS NULL OR v = 1)
  AND CHAR_LENGTH(id) BETWEEN 1 AND 128
  AND CHAR_LENGTH(cmd) BETWEEN 1 AND 128
  AND CHAR_LENGTH(partition_key) BETWEEN 1 AND 256
  AND (`key` IS NULL OR `key` = partition_key)
  AND (client IS NULL OR CHAR_LENGTH(client) BETWEEN 1 AND 256)
  AND (w IS NULL OR CHAR_LENGTH(w) BETWEEN 1 AND 128)
  AND (n IS NULL OR n >= 0)
  AND (tried IS NULL OR tried >= 0)
  AND data LIKE '{%';

-- Requests of the aggregatable commands, each once. What came before the stage's time is here too, for its repeats are
-- not to be taken; what was put again too late for anybody to tell is not. The first is the one that is read first:
-- repeats are of one key, so they are on one shard, which is read in order.
CREATE TEMPORARY VIEW first_attempts AS
SELECT cmd, `key`, w, `ref`, data, arrival, tried
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY sender, number ORDER BY PROCTIME() ASC) AS attempt
  FROM requests
  WHERE cmd IN (${commands})
    AND (
      tried IS NULL
      OR EXTRACT(EPOCH FROM arrival) * 1000 + EXTRACT(MILLISECOND FROM arrival) - tried <= ${horizon_seconds} * 1000
    )
)
WHERE attempt = 1;

-- What the stage takes, and the functions leave to it, with what each adds.
CREATE TEMPORARY VIEW taken AS
SELECT `key`, cmd, amount, arrival
FROM (SELECT *, CASE cmd ${amounts} END AS amount FROM first_attempts)
WHERE amount IS NOT NULL
  AND `ref` IS NULL
  AND (w IS NULL OR NOT REGEXP(w, '^(emit|emit-proven|event|redrive|stage)/'))
  AND arrival >= TO_TIMESTAMP_LTZ(${begin}, 0)
  AND (${periods});
