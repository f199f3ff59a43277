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

-- And of all of it together: one row, kept by the triggers.
CREATE TABLE IF NOT EXISTS relayed_total (
  id INTEGER PRIMARY KEY CHECK (id = 0), messages INTEGER NOT NULL, bytes INTEGER NOT NULL
);
INSERT OR IGNORE INTO relayed_total
  SELECT 0, COALESCE(SUM(messages), 0), COALESCE(SUM(bytes), 0) FROM relayed_amounts;
CREATE TRIGGER IF NOT EXISTS relayed_came AFTER INSERT ON relayed BEGIN
  UPDATE relayed_total SET messages = messages + 1, bytes = bytes + LENGTH(NEW.body);
END;
CREATE TRIGGER IF NOT EXISTS relayed_went AFTER DELETE ON relayed BEGIN
  UPDATE relayed_total SET messages = messages - 1, bytes = bytes - LENGTH(OLD.body);
END;
