-- Whose a lease is stands in its entry: whoever looks through them all reads only the jobs that are theirs.
DROP INDEX jobs_leased;
CREATE INDEX jobs_leased ON jobs (lease_expires_at, lease_token, bot_id, media_id)
    WHERE lease_expires_at IS NOT NULL;
