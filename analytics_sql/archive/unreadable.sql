-- archived records that are no request, by reason, with an example of each
-- What mobile SDKs send without a command lands here too: it is applied as event.track, but archived as sent.
SELECT error, count(*) AS lines, min(dt) AS first_day, max(dt) AS last_day, min(substr(raw, 1, 120)) AS example
FROM interactions
WHERE error IS NOT NULL
GROUP BY error
ORDER BY lines DESC, error
