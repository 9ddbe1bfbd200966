-- By the connector of analytics_sql/connector. Reference data, and what is enriched with it, are files.

CREATE TEMPORARY TABLE arrivals (
  arrival TIMESTAMP_LTZ(3) METADATA VIRTUAL,
  partition_key STRING METADATA VIRTUAL,
  record_partition_key STRING METADATA VIRTUAL,
  WATERMARK FOR arrival AS SOURCE_WATERMARK()
) WITH (
  'connector' = 'tidemill-kinesis', 'stream.arn' = ${stream_arn}, ${endpoint}
  'source.init.position' = 'AT_TIMESTAMP', 'source.init.timestamp' = '${read_from}',
  'format' = 'json', 'json.ignore-parse-errors' = 'true'
) LIKE request_columns;

CREATE TEMPORARY TABLE totals WITH (
  'connector' = 'tidemill-kinesis', 'stream.arn' = ${aggregated_arn}, ${endpoint} 'format' = 'json'
) LIKE total_columns;

CREATE TEMPORARY TABLE tops WITH (
  'connector' = 'tidemill-kinesis', 'stream.arn' = ${aggregated_arn}, ${endpoint} 'format' = 'json'
) LIKE top_columns;

CREATE TEMPORARY TABLE alerts WITH (
  'connector' = 'tidemill-kinesis', 'stream.arn' = ${aggregated_arn}, ${endpoint} 'format' = 'json'
) LIKE alert_columns;

CREATE TEMPORARY TABLE reference WITH (
  'connector' = 'filesystem', 'path' = ${reference_path}, 'format' = 'json'
) LIKE reference_columns;

CREATE TEMPORARY TABLE enriched WITH (
  'connector' = 'filesystem', 'path' = ${enriched_path}, 'format' = 'json'
) LIKE enriched_columns;
