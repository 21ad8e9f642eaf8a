-- The first shape of the spool.  Times are whole microseconds since 1970 UTC; "" means none where a text may be missing.
-- Later files add; a removal comes one release after the last reader is gone.

PRAGMA application_id = 1735881844;

-- Everything that came in, in the order of its commit.
CREATE TABLE inbound (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('mail', 'hook')),
  door TEXT NOT NULL,             -- of a mail
  peer TEXT NOT NULL,             -- IP address of a mail's client; the provider of a hook
  sender TEXT NOT NULL,
  phone TEXT,                     -- who wrote the text that a hook brings
  envelope TEXT NOT NULL,         -- JSON: the envelope of a mail, the event of a hook
  planned_at INTEGER,
  parked TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  lease_until INTEGER
) STRICT;

-- `unplanned` takes the oldest without a plan; planned ones, which are nearly all, are not in it.
CREATE INDEX inbound_unplanned ON inbound (seq) WHERE planned_at IS NULL;
-- The queue shows what is parked.
CREATE INDEX inbound_parked ON inbound (seq) WHERE parked <> '';
-- The story of a phone begins with what it wrote.
CREATE INDEX inbound_phone ON inbound (phone, seq) WHERE phone IS NOT NULL;
-- Retention asks for the oldest and must stop where the young ones begin.
CREATE INDEX inbound_at ON inbound (at);

-- Apart from inbound: marking a mail as planned must not write its megabytes again, and retention may take them earlier.
CREATE TABLE raw (
  inbound INTEGER PRIMARY KEY,    -- inbound.seq
  raw BLOB NOT NULL
) STRICT;

-- Which inbound stands for a mail to one recipient (P7).
CREATE TABLE fingerprint (
  digest BLOB NOT NULL,
  recipient TEXT NOT NULL,        -- lower case
  at INTEGER NOT NULL,
  inbound TEXT NOT NULL,
  PRIMARY KEY (digest, recipient)
) STRICT, WITHOUT ROWID;

-- Retention removes the oldest.
CREATE INDEX fingerprint_at ON fingerprint (at);

CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  inbound TEXT NOT NULL,
  kind TEXT NOT NULL,
  sender TEXT NOT NULL,
  recipient TEXT NOT NULL,
  phone TEXT,
  person TEXT NOT NULL,
  conversation TEXT NOT NULL,
  subject TEXT NOT NULL,
  text TEXT NOT NULL,
  cut TEXT NOT NULL,
  rule TEXT NOT NULL,
  at INTEGER NOT NULL,
  report_to TEXT NOT NULL,
  notify TEXT NOT NULL,
  orcpt TEXT NOT NULL,
  envid TEXT NOT NULL,
  message_id TEXT NOT NULL
) STRICT;

-- Whether a first mail still counts, and the story of an inbound, need its messages.
CREATE INDEX message_inbound ON message (inbound);
-- The story of a phone, newest first.
CREATE INDEX message_phone ON message (phone, seq) WHERE phone IS NOT NULL;
-- The story of a message goes on with the answers in its conversation.
CREATE INDEX message_conversation ON message (conversation, seq) WHERE conversation <> '';
-- Retention asks for the oldest.
CREATE INDEX message_at ON message (at);

CREATE TABLE delivery (
  seq INTEGER PRIMARY KEY,        -- the order within a lane
  id TEXT NOT NULL UNIQUE,
  message TEXT NOT NULL,
  kind TEXT NOT NULL,
  courier TEXT NOT NULL,
  lane TEXT NOT NULL,
  number TEXT NOT NULL,
  "to" TEXT NOT NULL,
  phone TEXT,
  person TEXT NOT NULL,
  sender TEXT NOT NULL,
  segments INTEGER NOT NULL,
  fate TEXT NOT NULL,
  reason TEXT NOT NULL,
  priority INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  posted_at INTEGER,
  lookups INTEGER NOT NULL,
  resends INTEGER NOT NULL,
  remote_id TEXT NOT NULL,
  code TEXT NOT NULL,
  note TEXT NOT NULL,
  bounce TEXT NOT NULL,
  conversational INTEGER NOT NULL,
  ways TEXT NOT NULL,             -- JSON list
  parcel TEXT,                    -- JSON; NULL when refused before anything was made
  data BLOB,                      -- the mail of a mail parcel
  lifetime INTEGER NOT NULL,      -- from due_at to expires_at at first: what an admin's retry gives again
  charged TEXT NOT NULL DEFAULT '', -- "2026-11-21 2026-11": where the running attempt was counted
  lease_until INTEGER             -- set while somebody works on it, always while sending
) STRICT;

-- `due` steps through the few pairs of number and priority, in each from the longest due.
CREATE INDEX delivery_due ON delivery (number, priority, due_at, seq) WHERE fate IN ('waiting', 'unknown');
-- Whether an earlier one of the lane is in the way.
CREATE INDEX delivery_lane ON delivery (lane, seq) WHERE fate IN ('waiting', 'sending', 'unknown');
-- Whether another one of the lane is in somebody's hands; also all that a start must free.
CREATE INDEX delivery_leased ON delivery (lane) WHERE lease_until IS NOT NULL;
-- The queue shows what is unfinished, in order; gauges count.
CREATE INDEX delivery_fate ON delivery (fate, seq);
CREATE INDEX delivery_message ON delivery (message);
-- A bounce names its delivery by token alone.
CREATE INDEX delivery_bounce ON delivery (bounce) WHERE bounce <> '';

-- What has ended: attempts, and look-ups of an attempt.  A running attempt is delivery.attempt and delivery.posted_at.
CREATE TABLE attempt (
  seq INTEGER PRIMARY KEY,
  delivery TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  code TEXT NOT NULL,
  note TEXT NOT NULL,
  remote_id TEXT NOT NULL,
  ms INTEGER NOT NULL
) STRICT;

CREATE INDEX attempt_delivery ON attempt (delivery, attempt);

-- Every move that was told to us, those that changed nothing too.
CREATE TABLE receipt (
  seq INTEGER PRIMARY KEY,
  delivery TEXT NOT NULL,
  inbound TEXT NOT NULL,          -- the hook or bounce that told it
  at INTEGER NOT NULL,
  source TEXT NOT NULL,
  fate TEXT NOT NULL,
  code TEXT NOT NULL,
  note TEXT NOT NULL,
  remote_id TEXT NOT NULL,
  changed INTEGER NOT NULL
) STRICT;

CREATE INDEX receipt_delivery ON receipt (delivery);
-- The story of a status callback leads to its delivery.
CREATE INDEX receipt_inbound ON receipt (inbound) WHERE inbound <> '';

-- One text at a provider belongs to one delivery.
CREATE TABLE remote (
  courier TEXT NOT NULL,
  remote_id TEXT NOT NULL,
  delivery TEXT NOT NULL,
  PRIMARY KEY (courier, remote_id)
) STRICT, WITHOUT ROWID;

-- Retention removes a delivery with its remote ids.
CREATE INDEX remote_delivery ON remote (delivery);

-- The ledger: append only.  AUTOINCREMENT, because seq fences `start` and must never come twice.
CREATE TABLE consent (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  brand TEXT NOT NULL,
  phone TEXT NOT NULL,
  at INTEGER NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('grant', 'revoke', 'stop', 'start')),
  klass TEXT NOT NULL,
  method TEXT NOT NULL,
  evidence TEXT NOT NULL,
  disclosure TEXT NOT NULL,
  recorded_by TEXT NOT NULL,
  raw TEXT NOT NULL
) STRICT;

-- Read at every RCPT and before every attempt.
CREATE INDEX consent_phone ON consent (phone, seq);

CREATE TRIGGER consent_keeps_rows BEFORE DELETE ON consent
BEGIN SELECT RAISE(ABORT, 'the ledger of consent is append-only'); END;
CREATE TRIGGER consent_keeps_words BEFORE UPDATE ON consent
BEGIN SELECT RAISE(ABORT, 'the ledger of consent is append-only'); END;

CREATE TABLE conversation (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  sender TEXT NOT NULL,
  phone TEXT NOT NULL,
  job TEXT NOT NULL,
  number TEXT NOT NULL,
  subject TEXT NOT NULL,
  message_id TEXT NOT NULL,
  "references" TEXT NOT NULL,     -- JSON list
  reply_to TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  closes_at INTEGER NOT NULL,
  texted_at INTEGER,
  text TEXT NOT NULL,
  heard_at INTEGER,
  UNIQUE (sender, phone, job)     -- also when two mails on a new job are planned at the same moment
) STRICT;

-- A text that comes in is matched with what is open with its author.
CREATE INDEX conversation_phone ON conversation (phone, closes_at);
-- Retention asks for those that closed first.
CREATE INDEX conversation_closes ON conversation (closes_at);

CREATE TABLE confirmation (
  employee TEXT PRIMARY KEY,
  address TEXT NOT NULL,
  at INTEGER NOT NULL,
  by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE spent (
  sender TEXT NOT NULL,
  period TEXT NOT NULL,           -- "2026-11-21" or "2026-11", by the shop's time zone
  segments INTEGER NOT NULL,
  alarmed INTEGER NOT NULL,       -- 1 when half was told, 2 when a refusal was told
  PRIMARY KEY (sender, period)
) STRICT, WITHOUT ROWID;

-- What the readiness probe writes.
CREATE TABLE pulse (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  at INTEGER NOT NULL
) STRICT;
