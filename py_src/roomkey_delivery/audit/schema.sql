-- What an auditor knows of the logs that it audits. Roots, hashes and notes are raw bytes, times Unix seconds.

-- The head is the last checkpoint that was proved to continue the one before; the replay follows it, and only when it
-- has reached the head is the head cosigned. `peaks` are those of the tree of `epochs` leaves.
CREATE TABLE IF NOT EXISTS audited_logs (
  number INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE,
  size INTEGER NOT NULL DEFAULT 0, root BLOB, note BLOB,
  epochs INTEGER NOT NULL DEFAULT 0, peaks BLOB NOT NULL DEFAULT x'', time INTEGER NOT NULL DEFAULT 0,
  -- why this log is never cosigned again, and for a fork the file that proves it
  refused TEXT, evidence TEXT
);

-- The log's map; `epoch` is the one that set the leaf.
CREATE TABLE IF NOT EXISTS audited_leaves (
  log INTEGER NOT NULL, place BLOB NOT NULL, version INTEGER NOT NULL, commitment BLOB NOT NULL, epoch INTEGER NOT NULL,
  PRIMARY KEY (log, place)
) WITHOUT ROWID;

-- The heads so far, so that another root for an old size is known for what it is.
CREATE TABLE IF NOT EXISTS audited_heads (
  log INTEGER NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL,
  PRIMARY KEY (log, size)
) WITHOUT ROWID;
