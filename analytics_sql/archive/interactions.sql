-- every archived record as it landed, newest hour first: requests, and what was sent and is no request
-- One that is no request has its text in raw and the reason in error. The archive is at least once: the same
-- request may stand here twice. Counts therefore read the view requests, where it stands once.
SELECT sent_at, arrived_at, cmd, key, client, id, data, raw, error, dt, hour
FROM interactions
ORDER BY dt DESC, hour DESC, sent_at DESC, id
