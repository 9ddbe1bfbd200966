-- The archive as analysts see it. Room: analytics. Rule: every archived record is a row of `interactions`.
-- A record is a line, or an object over several; blank lines are none. landed.py has the details.

-- The records as they landed.
CREATE TABLE lines (
    id      VARCHAR,  -- unique per request; the same for every copy of it
    cmd     VARCHAR,  -- the command
    key     VARCHAR,  -- the ordering key; null when the request left it to the record's partition key
    client  VARCHAR,  -- the sender, as the request claims
    writer  VARCHAR,  -- the SDK instance ("w" on the wire)
    counter BIGINT,   -- the writer's counter ("n" on the wire)
    "at"    BIGINT,   -- the client's clock, ms since 1970; a word of SQL: write "at", or use sent_at
    data    VARCHAR,  -- the command's own data, JSON text
    raw     VARCHAR,  -- the record itself when it is no request; bytes that are not UTF-8 as \xNN
    error   VARCHAR,  -- why it is no request, else null
    dt      VARCHAR,  -- day of arrival, UTC, YYYY-MM-DD
    hour    VARCHAR,  -- hour of arrival, UTC, 00 to 23; null for what failed on its way
    file    VARCHAR,  -- the object that holds it, below the archive's root
    -- Arrival of the object's oldest line (UTC): a line came then or up to ArchiveIntervalSeconds later. The archive
    -- holds no line's own arrival.
    arrived_at TIMESTAMP
);

-- Every archived record, with the client's time as a timestamp (UTC; null outside the years 1 to 9999), and the time
-- to count it by: the client's, else its arrival.
CREATE VIEW interactions AS
SELECT *, coalesce(sent_at, arrived_at) AS time
FROM (
    SELECT
        *,
        CASE WHEN "at" BETWEEN -62135596800000 AND 253402300799999 THEN epoch_ms("at") END AS sent_at
    FROM lines
);

-- Every request once. Delivery into the archive is at least once, and a client sends again what was not answered:
-- copies of one request have one id and one key. `copies` is their number in the archive; the first is shown.
CREATE VIEW requests AS
SELECT * EXCLUDE (copy, raw, error)
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY id, key ORDER BY dt, hour, file) AS copy,
        count(*) OVER (PARTITION BY id, key) AS copies
    FROM interactions
    WHERE error IS NULL
)
WHERE copy = 1;
