-- What the daemon asks a provider for by itself, where no webhook tells it.

-- Until when a list has been read, by name: "inbound +1...".
CREATE TABLE mark (
  name TEXT PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT;

-- Paid texts whose receipt may still come: the young ones among those that were handed over.
CREATE INDEX delivery_unconfirmed ON delivery (posted_at) WHERE fate = 'handed_over' AND courier <> 'mail';
