-- requests per minute of the clients' clocks, else of arrival, and how many keys they touched
-- by_arrival: how many of them state no time (at). Those are counted where the object that holds them began: a request
-- may have come up to ArchiveIntervalSeconds later.
SELECT
    date_trunc('minute', time) AS minute,
    count(*) AS requests,
    count(*) FILTER (WHERE sent_at IS NULL) AS by_arrival,
    count(DISTINCT client) AS clients,
    count(DISTINCT key) AS keys
FROM requests
GROUP BY date_trunc('minute', time)
ORDER BY minute
