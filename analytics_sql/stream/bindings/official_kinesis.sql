-- Not tested here: by Flink's own connector for Kinesis, for a stream of plain records that nobody aggregates. It has no
-- watermark for each shard, and no arrival: the request's own clock (at) stands for it, so totals may miss late requests
-- and must not be applied. Top content and anomalies bear that.

CREATE TEMPORARY TABLE arrivals (
  `at` BIGINT,
  arrival AS TO_TIMESTAMP_LTZ(`at`, 3),
  partition_key AS `key`,
  record_partition_key AS `key`,
  WATERMARK FOR arrival AS arrival - INTERVAL '30' SECOND
) WITH (
  'connector' = 'kinesis', 'stream.arn' = ${stream_arn}, 'aws.region' = ${region},
  'source.init.position' = 'AT_TIMESTAMP', 'source.init.timestamp' = '${read_from}',
  'format' = 'json', 'json.ignore-parse-errors' = 'true'
) LIKE request_columns;

CREATE TEMPORARY TABLE tops WITH (
  'connector' = 'kinesis', 'stream.arn' = ${aggregated_arn}, 'aws.region' = ${region}, 'format' = 'json'
) LIKE top_columns;

CREATE TEMPORARY TABLE alerts WITH (
  'connector' = 'kinesis', 'stream.arn' = ${aggregated_arn}, 'aws.region' = ${region}, 'format' = 'json'
) LIKE alert_columns;
