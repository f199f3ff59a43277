-- Times are Unix seconds. Ids and hashes are raw bytes.

-- Whose database it is: one row.
CREATE TABLE IF NOT EXISTS service (
  one INTEGER PRIMARY KEY CHECK (one = 0), domain TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS nonces (
  client BLOB NOT NULL, nonce TEXT NOT NULL, expires REAL NOT NULL,
  PRIMARY KEY (client, nonce)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS nonces_expire ON nonces (expires);

CREATE TABLE IF NOT EXISTS codes (
  identity TEXT PRIMARY KEY, hash BLOB NOT NULL, expires REAL NOT NULL, used INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
-- Codes by which the operator lets a taken name begin anew; `used` by which client.
CREATE TABLE IF NOT EXISTS reset_codes (
  identity TEXT PRIMARY KEY, hash BLOB NOT NULL, expires REAL NOT NULL, used BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS admissions (
  client BLOB NOT NULL, identity TEXT NOT NULL, expires REAL NOT NULL,
  PRIMARY KEY (client, identity)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clients (
  id BLOB PRIMARY KEY, identity TEXT NOT NULL, algorithm INTEGER NOT NULL, public_key BLOB NOT NULL, enrolled REAL NOT NULL,
  -- the inbox: the last sequence number given out, and what is not acknowledged yet
  last_sequence INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0, waiting_bytes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS clients_identity ON clients (identity);

-- A claimed or replaced set keeps its row, without its body, until it expires: so an upload tried again cannot bring it back.
CREATE TABLE IF NOT EXISTS sets (
  number INTEGER PRIMARY KEY AUTOINCREMENT, client BLOB NOT NULL, id BLOB NOT NULL, digest BLOB NOT NULL, suites BLOB NOT NULL,
  last_resort INTEGER NOT NULL, expires INTEGER NOT NULL, body BLOB,
  UNIQUE (client, id)
);
CREATE INDEX IF NOT EXISTS sets_live ON sets (client, last_resort, number) WHERE body IS NOT NULL;
CREATE INDEX IF NOT EXISTS sets_expire ON sets (expires);

-- An acknowledged message keeps its hash for a while: so a sender that tries again does not deliver it twice.
CREATE TABLE IF NOT EXISTS messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT, client BLOB NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL,
  received REAL NOT NULL, body BLOB,
  UNIQUE (client, hash)
);
CREATE INDEX IF NOT EXISTS messages_waiting ON messages (client, sequence) WHERE body IS NOT NULL;
CREATE INDEX IF NOT EXISTS messages_old ON messages (received) WHERE body IS NULL;

-- One row per epoch that has a token; `ended_by` is the commit that ended it, `ended` when, `next_hash` the token hash of the epoch
-- after it. So rows make chains, and one group id can have several; `begun` is the epoch that a row's chain was registered with.
CREATE TABLE IF NOT EXISTS epochs (
  group_id BLOB NOT NULL, epoch INTEGER NOT NULL, token_hash BLOB NOT NULL, begun INTEGER NOT NULL,
  ended_by BLOB, ended REAL, next_hash BLOB,
  PRIMARY KEY (group_id, epoch, token_hash)
);
CREATE INDEX IF NOT EXISTS epochs_ended ON epochs (ended) WHERE ended IS NOT NULL;
