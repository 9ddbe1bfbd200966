-- What is read, as a client writes it (docs/contract.md), and what is written. A binding says where each lies, and for
-- what is read: when it arrived (arrival, with a watermark), and under which keys (partition_key, record_partition_key).

CREATE TEMPORARY TABLE request_columns (
  v INT, id STRING, cmd STRING, `key` STRING, client STRING, w STRING, n BIGINT, tried BIGINT, `ref` STRING, data STRING
);

CREATE TEMPORARY TABLE total_columns (
  v INT, id STRING, cmd STRING, `key` STRING, w STRING, n BIGINT,
  data ROW<total BIGINT, `of` BIGINT>
);

CREATE TEMPORARY TABLE top_columns (
  v INT, id STRING, cmd STRING, `key` STRING, w STRING, n BIGINT,
  data ROW<`of` BIGINT, `from` BIGINT, top ARRAY<ROW<place BIGINT, `key` STRING, `views` BIGINT>>>
);

CREATE TEMPORARY TABLE alert_columns (
  v INT, id STRING, cmd STRING, `key` STRING, w STRING, n BIGINT,
  data ROW<`of` BIGINT, client STRING, requests BIGINT, before BIGINT>
);

CREATE TEMPORARY TABLE reference_columns (`key` STRING, title STRING, category STRING);

CREATE TEMPORARY TABLE enriched_columns (
  window_end TIMESTAMP(3), cmd STRING, `key` STRING, amount BIGINT, title STRING, category STRING
);
