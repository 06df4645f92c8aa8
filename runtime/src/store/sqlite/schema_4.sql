-- Who worked on a medium, and when: to be told of a message whose job is gone. None of a text, of what
-- nobody worked on, and of what was archived before.

ALTER TABLE archive ADD COLUMN worker_id BLOB;
ALTER TABLE archive ADD COLUMN claimed_at INTEGER;
ALTER TABLE archive ADD COLUMN work_ended_at INTEGER;
