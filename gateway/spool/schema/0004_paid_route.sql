-- The paid route in full: what is asked of people, pictures to be fetched, who knows which number, a wider ledger.

-- A CHECK cannot be altered: the ledger is built anew with every row, its seq and the counter, which must never go back.
CREATE TABLE consent_wide (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  brand TEXT NOT NULL,
  phone TEXT NOT NULL,
  at INTEGER NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('grant', 'revoke', 'stop', 'start', 'suspend', 'resume', 'block')),
  klass TEXT NOT NULL,
  method TEXT NOT NULL,
  evidence TEXT NOT NULL,
  disclosure TEXT NOT NULL,
  recorded_by TEXT NOT NULL,
  raw TEXT NOT NULL,
  number TEXT NOT NULL            -- E.164 of ours; "" = none
) STRICT;

INSERT INTO consent_wide (seq, id, brand, phone, at, action, klass, method, evidence, disclosure, recorded_by, raw,
  number) SELECT seq, id, brand, phone, at, action, klass, method, evidence, disclosure, recorded_by, raw, '' FROM
  consent ORDER BY seq;
DELETE FROM sqlite_sequence WHERE name = 'consent_wide';
INSERT INTO sqlite_sequence (name, seq) SELECT 'consent_wide', seq FROM sqlite_sequence WHERE name = 'consent';
DROP TABLE consent;
ALTER TABLE consent_wide RENAME TO consent;

-- Read at every RCPT and before every attempt.
CREATE INDEX consent_phone ON consent (phone, seq);

CREATE TRIGGER consent_keeps_rows BEFORE DELETE ON consent
BEGIN SELECT RAISE(ABORT, 'the ledger of consent is append-only'); END;
CREATE TRIGGER consent_keeps_words BEFORE UPDATE ON consent
BEGIN SELECT RAISE(ABORT, 'the ledger of consent is append-only'); END;

-- Which consent a text needs.
ALTER TABLE message ADD COLUMN klass TEXT NOT NULL DEFAULT 'informational';

CREATE TABLE question (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,        -- the token of its a- address
  kind TEXT NOT NULL,
  phone TEXT NOT NULL,
  number TEXT NOT NULL,           -- name of our number
  sender TEXT NOT NULL,
  asked_at INTEGER NOT NULL,
  closes_at INTEGER NOT NULL,
  text TEXT NOT NULL,
  options TEXT NOT NULL,          -- JSON list
  deliveries TEXT NOT NULL,       -- JSON list
  answered_at INTEGER,
  answer TEXT NOT NULL
) STRICT;

-- A text that comes in may be the answer to what is open about its author.
CREATE INDEX question_open ON question (phone, closes_at) WHERE answered_at IS NULL;
-- The story of a phone, newest first.
CREATE INDEX question_phone ON question (phone, asked_at);
-- Those that are open, whoever they are about; retention asks for those that closed first.
CREATE INDEX question_closes ON question (closes_at);

CREATE TABLE media (
  token TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,             -- content type
  message TEXT NOT NULL,
  at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  data BLOB NOT NULL              -- last, so that the columns before it are read without its pages
) STRICT;

-- Expired ones go; the gauge adds the bytes up without a look at the table.
CREATE INDEX media_expires ON media (expires_at, bytes);

-- Our numbers (E.164) from which a phone has had a text.  Stays: the next text to it is no first one.
CREATE TABLE pair (
  number TEXT NOT NULL,
  phone TEXT NOT NULL,
  at INTEGER NOT NULL,            -- of the first one
  PRIMARY KEY (number, phone)
) STRICT, WITHOUT ROWID;

-- Those who had texts before this table was there know the number too.  A lane is courier|number|phone.
INSERT OR IGNORE INTO pair (number, phone, at) SELECT replace(replace(lane, courier || '|', ''), '|' || phone, ''), phone,
  min(coalesce(posted_at, due_at)) FROM delivery WHERE courier <> 'mail' AND phone IS NOT NULL AND lane <> '' AND fate IN
  ('handed_over', 'delivered') GROUP BY lane, courier, phone;

-- Whether a first text to a pair is held; what is under way is in delivery_lane.
CREATE INDEX delivery_held ON delivery (lane) WHERE fate = 'held';
-- The last ones that closed with a phone may be reopened.
CREATE INDEX conversation_texted ON conversation (phone, texted_at);
