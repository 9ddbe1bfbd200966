-- clients by requests, with the first and the last time each was seen: its own clock's, else that of arrival
SELECT
    client,
    count(*) AS requests,
    count(DISTINCT cmd) AS commands,
    count(DISTINCT key) AS keys,
    min(time) AS first_seen,
    max(time) AS last_seen
FROM requests
GROUP BY client
ORDER BY requests DESC, client
