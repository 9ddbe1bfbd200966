-- requests by command: share, clients, keys, and copies that the archive holds beyond the first
SELECT
    cmd,
    count(*) AS requests,
    round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS percent,
    count(DISTINCT client) AS clients,
    count(DISTINCT key) AS keys,
    CAST(sum(copies) AS BIGINT) - count(*) AS repeats
FROM requests
GROUP BY cmd
ORDER BY requests DESC, cmd
