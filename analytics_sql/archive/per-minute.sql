-- requests per minute of the clients' clocks, and how many keys they touched
-- A request that states no time (at) is not here; hourly counts it by its arrival.
SELECT
    date_trunc('minute', sent_at) AS sent_minute,
    count(*) AS requests,
    count(DISTINCT client) AS clients,
    count(DISTINCT key) AS keys
FROM requests
WHERE sent_at IS NOT NULL
GROUP BY date_trunc('minute', sent_at)
ORDER BY sent_minute
