-- What clients of ours sent to other domains and has not been delivered there. Times are Unix seconds.

CREATE TABLE IF NOT EXISTS relayed (
  number INTEGER PRIMARY KEY AUTOINCREMENT, domain TEXT NOT NULL, sender BLOB NOT NULL, identity TEXT NOT NULL,
  hash BLOB NOT NULL, queued REAL NOT NULL, body BLOB NOT NULL,
  UNIQUE (domain, sender, hash)
);
CREATE INDEX IF NOT EXISTS relayed_in_order ON relayed (domain, sender, number);
CREATE INDEX IF NOT EXISTS relayed_old ON relayed (queued);

-- How much of it is whose; a row for each domain that a sender has something waiting for.
CREATE TABLE IF NOT EXISTS relayed_amounts (
  domain TEXT NOT NULL, sender BLOB NOT NULL, messages INTEGER NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (domain, sender)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS relayed_by_sender ON relayed_amounts (sender);
