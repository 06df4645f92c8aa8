-- Under which epoch a callback came to be owed: while that lasts, nobody else can have sent it, and its first
-- attempt needs no write of its own. None where an operator had it owed anew.
ALTER TABLE archive ADD COLUMN epoch INTEGER;
