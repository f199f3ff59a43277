-- A service's log of keys (wire.md section 6). Hashes, places, openings and structs are raw bytes, times Unix seconds.

-- What the log is, in one row: its key and its map's; how many epochs it has and their root; and the newest of its
-- heads that a quorum of auditors cosigned, with its note and when that was.
CREATE TABLE IF NOT EXISTS log_state (
  one INTEGER PRIMARY KEY CHECK (one = 1), log TEXT NOT NULL, vrf BLOB NOT NULL,
  size INTEGER NOT NULL DEFAULT 0, root BLOB NOT NULL,
  published_size INTEGER NOT NULL DEFAULT 0, published_note BLOB, published_at REAL NOT NULL DEFAULT 0
);

-- Where identities stand in the map, with the VRF's proof.
CREATE TABLE IF NOT EXISTS log_names (
  identity TEXT PRIMARY KEY, place BLOB NOT NULL UNIQUE, proof BLOB NOT NULL
) WITHOUT ROWID;

-- Every version of every identity's manifest, and which epoch brought it into the map; none yet: pending.
CREATE TABLE IF NOT EXISTS log_manifests (
  identity TEXT NOT NULL, version INTEGER NOT NULL, signed BLOB NOT NULL, opening BLOB NOT NULL,
  commitment BLOB NOT NULL, received REAL NOT NULL, epoch INTEGER,
  PRIMARY KEY (identity, version)
);
CREATE INDEX IF NOT EXISTS log_pending ON log_manifests (identity, version) WHERE epoch IS NULL;

-- The log's entries: EpochLeaf and MapUpdates of each.
CREATE TABLE IF NOT EXISTS log_epochs (number INTEGER PRIMARY KEY, entry BLOB NOT NULL, updates BLOB NOT NULL);

-- The tree's tiles (c2sp.org/tlog-tiles): up to 256 hashes each, the last of a level being partial.
CREATE TABLE IF NOT EXISTS log_tiles (
  level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL,
  PRIMARY KEY (level, number)
) WITHOUT ROWID;

-- What each witness (its vkey) cosigned last.
CREATE TABLE IF NOT EXISTS log_cosignatures (
  witness TEXT PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL, line BLOB NOT NULL
) WITHOUT ROWID;
