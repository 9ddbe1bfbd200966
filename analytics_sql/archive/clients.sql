-- clients by requests, with the first and the last time each was seen
SELECT
    client,
    count(*) AS requests,
    count(DISTINCT cmd) AS commands,
    count(DISTINCT key) AS keys,
    min(sent_at) AS first_seen,
    max(sent_at) AS last_seen
FROM requests
GROUP BY client
ORDER BY requests DESC, client
