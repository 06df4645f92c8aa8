-- Correspondents as numbers: in keys, in place of the names of a bot and a correspondent.

CREATE TABLE correspondents (
    correspondent INTEGER NOT NULL PRIMARY KEY,
    bot_id TEXT NOT NULL,
    correspondent_id TEXT NOT NULL
) STRICT;

INSERT INTO correspondents (bot_id, correspondent_id)
SELECT bot_id, correspondent_id FROM archive UNION SELECT bot_id, correspondent_id FROM jobs;

-- A number never changes, so it is given once to a name.
CREATE UNIQUE INDEX correspondents_name ON correspondents (bot_id, correspondent_id);

DROP INDEX jobs_provider_message;
DROP INDEX archive_identity;
DROP INDEX archive_provider_message;
DROP INDEX archive_owed_bot;
DROP INDEX archive_owed_correspondent;

ALTER TABLE jobs ADD COLUMN correspondent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE archive ADD COLUMN correspondent INTEGER NOT NULL DEFAULT 0;

UPDATE jobs SET correspondent = (SELECT correspondent FROM correspondents AS named
    WHERE named.bot_id = jobs.bot_id AND named.correspondent_id = jobs.correspondent_id);
UPDATE archive SET correspondent = (SELECT correspondent FROM correspondents AS named
    WHERE named.bot_id = archive.bot_id AND named.correspondent_id = archive.correspondent_id);

-- One message of a provider makes one job. Retries of archived messages are not the message itself.
-- Also for the highest message id of a correspondent.
CREATE UNIQUE INDEX jobs_provider_message
    ON jobs (correspondent, provider_message_id) WHERE revision = 0;
-- Exactly once is anchored here. A bot has one provider nearly always, so its name comes last.
CREATE UNIQUE INDEX archive_identity ON archive (correspondent, id, provider_name);
-- A message that its provider sends again is known.
CREATE UNIQUE INDEX archive_provider_message ON archive (correspondent, provider_message_id);
-- The outbox's pages, of a bot and of a correspondent, in archive order. Those in the order of message
-- ids, which gating asks for, sort the correspondent's entries of the index.
CREATE INDEX archive_owed_bot ON archive (bot_id, seq, correspondent) WHERE callback = 'owed';
CREATE INDEX archive_owed_correspondent
    ON archive (correspondent, seq, id) WHERE callback = 'owed';

-- The message of a medium whose job has ended. Media ids are random: in an index of them alone every new
-- one falls on a page of its own. So they stand in blocks of neighbouring rows, and new ones on the few
-- pages of the newest block; who looks for one goes from block to block.
DROP INDEX archive_media;
CREATE INDEX archive_media ON archive (position / 4096, media_id) WHERE media_id IS NOT NULL;

-- Most jobs are inserted under a lease and end under it. A lease has one entry of its own, in `jobs_leased`,
-- and there are no more of them than workers' slots: who goes through a bot's jobs or through all of them
-- looks at the leased ones besides.
DROP INDEX jobs_bot;
DROP INDEX jobs_listed;
-- Pages of a bot: restore, hold.
CREATE INDEX jobs_bot ON jobs (bot_id, media_id) WHERE lease_expires_at IS NULL;
-- Jobs by their age; what else is filtered by stands in the entries. It does not begin with the place, or
-- sweeps would be taken to go by it.
CREATE INDEX jobs_listed ON jobs (created_at, media_id, place, bot_id, pool)
    WHERE lease_expires_at IS NULL;
