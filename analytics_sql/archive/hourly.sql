-- requests by command and hour of arrival (UTC)
SELECT dt, hour, cmd, count(*) AS requests, count(DISTINCT client) AS clients
FROM requests
GROUP BY dt, hour, cmd
ORDER BY dt, hour, requests DESC, cmd
