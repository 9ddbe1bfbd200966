-- Lines of JSON: requests with the columns that Kinesis tells besides, in a folder that is read once; and a folder for each
-- of what is written.

CREATE TEMPORARY TABLE arrivals (
  arrival TIMESTAMP_LTZ(3),
  partition_key STRING,
  record_partition_key STRING,
  WATERMARK FOR arrival AS arrival - INTERVAL '1' SECOND
) WITH (
  'connector' = 'filesystem', 'path' = ${requests_path}, 'format' = 'json', 'json.ignore-parse-errors' = 'true'
) LIKE request_columns;

CREATE TEMPORARY TABLE totals WITH (
  'connector' = 'filesystem', 'path' = ${totals_path}, 'format' = 'json'
) LIKE total_columns;

CREATE TEMPORARY TABLE tops WITH (
  'connector' = 'filesystem', 'path' = ${tops_path}, 'format' = 'json'
) LIKE top_columns;

CREATE TEMPORARY TABLE alerts WITH (
  'connector' = 'filesystem', 'path' = ${alerts_path}, 'format' = 'json'
) LIKE alert_columns;

CREATE TEMPORARY TABLE reference WITH (
  'connector' = 'filesystem', 'path' = ${reference_path}, 'format' = 'json'
) LIKE reference_columns;

CREATE TEMPORARY TABLE enriched WITH (
  'connector' = 'filesystem', 'path' = ${enriched_path}, 'format' = 'json'
) LIKE enriched_columns;
