-- contents by views, with likes and how many clients looked
SELECT
    key,
    count(*) FILTER (WHERE cmd = 'content.view') AS views,
    count(*) FILTER (WHERE cmd = 'content.like') AS likes,
    count(DISTINCT client) FILTER (WHERE cmd = 'content.view') AS viewers
FROM requests
WHERE cmd IN ('content.view', 'content.like')
GROUP BY key
ORDER BY views DESC, likes DESC, key
