-- What a job costs to write.

-- A list of more than two values in a check is a table of its own, made anew by every statement. The
-- same conditions, spelt out; what is stored stays as it is, so the text alone is exchanged
-- (https://sqlite.org/lang_altertable.html, section 7).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    'status IN (''pending'', ''processing'', ''completed'')',
    'status = ''pending'' OR status = ''processing'' OR status = ''completed''')
WHERE type = 'table' AND name = 'jobs';
UPDATE sqlite_schema SET sql = replace(sql,
    'callback IN (''none'', ''owed'', ''acknowledged'', ''undeliverable'')',
    'callback = ''none'' OR callback = ''owed'' OR callback = ''acknowledged''
        OR callback = ''undeliverable''')
WHERE type = 'table' AND name = 'archive';
PRAGMA writable_schema = RESET;

-- One index of leases: the sweep for lost workers goes by their ends, a repeated claim looks through
-- their tokens. There are as many as workers' slots.
DROP INDEX jobs_lease_token;
DROP INDEX jobs_lease_expiry;
CREATE INDEX jobs_leased ON jobs (lease_expires_at, lease_token)
    WHERE lease_expires_at IS NOT NULL;
