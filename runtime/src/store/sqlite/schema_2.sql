-- What operators list, search and count.

ALTER TABLE failed ADD COLUMN bot_id TEXT NOT NULL DEFAULT '';
ALTER TABLE failed ADD COLUMN pool TEXT NOT NULL DEFAULT '';
ALTER TABLE failed ADD COLUMN reason TEXT NOT NULL DEFAULT '';

UPDATE failed SET
    bot_id = coalesce(json_extract(body, '$.job.bot_id'), ''),
    pool = coalesce(json_extract(body, '$.job.pool'), ''),
    reason = coalesce(json_extract(body, '$.job.status.outcome.error'),
        json_extract(body, '$.job.status.outcome.kind'), '')
WHERE json_valid(body);

-- Failed jobs by their time, of all bots and of one; what else is filtered by stands in the entries. The
-- sweep for copies that were kept long enough goes by the first as well.
DROP INDEX failed_at;
CREATE INDEX failed_listed ON failed (failed_at, media_id, bot_id, pool, reason);
CREATE INDEX failed_listed_bot ON failed (bot_id, failed_at, media_id, pool, reason);
-- Jobs by their age; what else is filtered by stands in the entries. It does not begin with the place, or
-- sweeps would be taken to go by it.
CREATE INDEX jobs_listed ON jobs (created_at, media_id, place, bot_id, pool);
-- The message of a medium whose job has ended.
CREATE INDEX archive_media ON archive (media_id) WHERE media_id IS NOT NULL;
-- The callbacks that were given up.
CREATE INDEX archive_undeliverable ON archive (bot_id, seq) WHERE callback = 'undeliverable';
