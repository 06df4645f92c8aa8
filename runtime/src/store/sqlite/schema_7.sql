-- Pages of a bot go by the age of its jobs: media ids are random, and the jobs of a page that goes by them lie
-- all over the table. All of a bot's jobs are in one index again, for leases may be many while a bot is being
-- restored: results wait under them.
DROP INDEX jobs_bot;
DROP INDEX jobs_completed;
DROP INDEX jobs_leased;
-- Pages of a bot: restore, hold.
CREATE INDEX jobs_bot ON jobs (bot_id, created_at, media_id);
-- Pages of a bot's results.
CREATE INDEX jobs_completed ON jobs (bot_id, created_at, media_id)
    WHERE place = 'active' AND status = 'completed';
-- One index of leases: the sweep for lost workers goes by their ends, a repeated claim looks through their
-- tokens.
CREATE INDEX jobs_leased ON jobs (lease_expires_at, lease_token)
    WHERE lease_expires_at IS NOT NULL;
