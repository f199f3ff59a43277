-- A service's log of keys. Hashes, indexes and structs are raw bytes, times Unix seconds.

-- One row for each manifest that was submitted; `epoch` is the one that put it into the map, NULL while it waits.
CREATE TABLE IF NOT EXISTS log_manifests (
  identity BLOB NOT NULL, version INTEGER NOT NULL, place BLOB NOT NULL, opening BLOB NOT NULL, commitment BLOB NOT NULL,
  body BLOB NOT NULL, epoch INTEGER,
  PRIMARY KEY (identity, version)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS log_manifests_wait ON log_manifests (identity) WHERE epoch IS NULL;

-- One row for each epoch: its EpochLeaf, and the MapUpdates that auditors replay.
CREATE TABLE IF NOT EXISTS log_epochs (number INTEGER PRIMARY KEY, leaf BLOB NOT NULL, updates BLOB NOT NULL);

-- The roots of all perfect subtrees: `place` counts those of 2^level leaves.
CREATE TABLE IF NOT EXISTS log_hashes (
  level INTEGER NOT NULL, place INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY (level, place)
) WITHOUT ROWID;

-- The newest head that a quorum of auditors cosigned, with their lines; one row.
CREATE TABLE IF NOT EXISTS log_head (
  only_one INTEGER PRIMARY KEY CHECK (only_one = 1), size INTEGER NOT NULL, note BLOB NOT NULL, time INTEGER NOT NULL
);
