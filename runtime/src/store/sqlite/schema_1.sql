-- Times are milliseconds since the epoch; ids of media, nodes and leases are the 16 bytes of a UUID;
-- bodies are JSON. A body is the truth, the columns beside it are there to be searched.

CREATE TABLE schema_migrations (
    version INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;

CREATE TABLE bots (
    bot_id TEXT NOT NULL PRIMARY KEY,
    provider_name TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may write for a bot. A row is never deleted, so that neither an epoch nor a place in the archive
-- is ever given twice.
CREATE TABLE ownership (
    bot_id TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    node_id BLOB,
    expires_at INTEGER,
    archive_seq INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE singletons (
    name TEXT NOT NULL PRIMARY KEY,
    node_id BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    media_id BLOB NOT NULL PRIMARY KEY,
    bot_id TEXT NOT NULL,
    correspondent_id TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    provider_message_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    pool TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    place TEXT NOT NULL CHECK (place IN ('active', 'holding')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed')),
    active_since INTEGER NOT NULL,
    -- Only while holding.
    held_at INTEGER,
    -- Only while pending and in back-off; cleared when the moment has been reached.
    not_before INTEGER,
    -- Only while processing.
    lease_token BLOB,
    lease_expires_at INTEGER,
    body TEXT NOT NULL
) STRICT;

-- One message of a provider makes one job. Retries of archived messages are not the message itself.
-- Also for the highest message id of a correspondent.
CREATE UNIQUE INDEX jobs_provider_message
    ON jobs (bot_id, correspondent_id, provider_message_id) WHERE revision = 0;
-- Pages of a bot: restore, hold.
CREATE INDEX jobs_bot ON jobs (bot_id, media_id);
-- Pages of a bot's results.
CREATE INDEX jobs_completed
    ON jobs (bot_id, media_id) WHERE place = 'active' AND status = 'completed';
-- Claims: the next bot's oldest job is the next entry, whatever waits in front of it.
CREATE INDEX jobs_claimable ON jobs (pool, bot_id, created_at, media_id)
    WHERE place = 'active' AND status = 'pending' AND not_before IS NULL;
-- Jobs in back-off stay out of the claims' way until their moment comes.
CREATE INDEX jobs_backing_off ON jobs (pool, not_before)
    WHERE place = 'active' AND status = 'pending' AND not_before IS NOT NULL;
-- A repeated claim finds what it claimed.
CREATE INDEX jobs_lease_token ON jobs (lease_token) WHERE lease_token IS NOT NULL;
-- The sweep for lost workers.
CREATE INDEX jobs_lease_expiry ON jobs (lease_expires_at) WHERE lease_expires_at IS NOT NULL;
-- The sweeps for jobs that waited too long.
CREATE INDEX jobs_waiting_active
    ON jobs (bot_id, active_since) WHERE place = 'active' AND status = 'pending';
CREATE INDEX jobs_waiting_holding
    ON jobs (held_at) WHERE place = 'holding' AND status = 'pending';

CREATE TABLE failed (
    media_id BLOB NOT NULL PRIMARY KEY,
    failed_at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- The sweep for copies that were kept long enough.
CREATE INDEX failed_at ON failed (failed_at);

CREATE TABLE archive (
    position INTEGER NOT NULL PRIMARY KEY,
    bot_id TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    correspondent_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    provider_message_id TEXT NOT NULL,
    media_id BLOB,
    seq INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    callback TEXT NOT NULL CHECK (callback IN ('none', 'owed', 'acknowledged', 'undeliverable')),
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    archived_at INTEGER NOT NULL,
    -- When the callback ended, or when it was archived without one; none while owed.
    ended_at INTEGER,
    -- 1 once the sweep has kept it as its correspondent's highest, until a higher one is archived.
    retained INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL
) STRICT;

-- Exactly once is anchored here.
CREATE UNIQUE INDEX archive_identity ON archive (bot_id, provider_name, correspondent_id, id);
-- A message that its provider sends again is known.
CREATE UNIQUE INDEX archive_provider_message
    ON archive (bot_id, correspondent_id, provider_message_id);
-- The outbox's pages, of a bot and of a correspondent, in archive order. Those in the order of message
-- ids, which gating asks for, sort the correspondent's entries of the index.
CREATE INDEX archive_owed_bot
    ON archive (bot_id, seq, correspondent_id) WHERE callback = 'owed';
CREATE INDEX archive_owed_correspondent
    ON archive (bot_id, correspondent_id, seq, id) WHERE callback = 'owed';
-- The sweep for rows that were kept long enough, and the rows that it passed over.
CREATE INDEX archive_ended ON archive (ended_at) WHERE ended_at IS NOT NULL AND retained = 0;
CREATE INDEX archive_retained
    ON archive (bot_id, provider_name, correspondent_id) WHERE retained = 1;

CREATE TABLE sends (
    position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    bot_id TEXT NOT NULL,
    send_id TEXT NOT NULL,
    correspondent_id TEXT NOT NULL,
    message TEXT NOT NULL,
    sent_at INTEGER,
    provider_message_id TEXT
) STRICT;

-- A repeated send is known by its key.
CREATE UNIQUE INDEX sends_identity ON sends (bot_id, send_id);
-- The sends to be made, oldest first.
CREATE INDEX sends_owed ON sends (bot_id, position) WHERE sent_at IS NULL;
-- The sweep for keys that were kept long enough.
CREATE INDEX sends_sent ON sends (sent_at) WHERE sent_at IS NOT NULL;

-- Records whose bodies could not be read. Their ids stay taken and their files stay known.
CREATE TABLE quarantine (
    position INTEGER NOT NULL PRIMARY KEY,
    source TEXT NOT NULL CHECK (source IN ('bots', 'jobs', 'failed', 'archive')),
    bot_id TEXT,
    correspondent_id TEXT,
    message_id INTEGER,
    media_id BLOB,
    body ANY,
    reason TEXT NOT NULL,
    set_aside_at INTEGER NOT NULL
) STRICT;

CREATE INDEX quarantine_message ON quarantine (bot_id, correspondent_id, message_id);
CREATE INDEX quarantine_media ON quarantine (media_id);
