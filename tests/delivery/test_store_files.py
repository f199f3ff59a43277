"""The database file among several connections and processes (`roomkey_delivery.store.files`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from roomkey_delivery.store.files import connect

# Another process as the service's are: it reads, and closes the file as the last one that it knows of.
_OTHER = """
import sys
from pathlib import Path
from roomkey_delivery.store.files import connect
db = connect(Path(sys.argv[1]))
print(*[row[0] for row in db.execute("SELECT number FROM numbers ORDER BY number")])
db.close()
"""


def seen_by_another(path: Path) -> str:
    """What another process reads; it has closed the file then."""
    done = subprocess.run(
        [sys.executable, "-c", _OTHER, str(path)], check=True, capture_output=True, text=True, timeout=120
    )
    return done.stdout.strip()


def test_a_second_connection_leaves_the_first_its_locks(tmp_path: Path) -> None:
    """A service has several connections: its store's, its log's. POSIX drops all locks that a process has on a file
    when it closes any descriptor of it. Another process would then take itself for the last one, delete the write-ahead
    log under the first connection, and what that wrote from then on would be lost.
    """
    path = tmp_path / "service.db"
    first = connect(path)
    first.execute("PRAGMA journal_mode = WAL")
    first.execute("CREATE TABLE numbers (number INTEGER)")
    first.execute("INSERT INTO numbers VALUES (1)")
    second = connect(path)
    assert seen_by_another(path) == "1"
    assert (tmp_path / "service.db-wal").exists()
    first.execute("INSERT INTO numbers VALUES (2)")
    assert seen_by_another(path) == "1 2"
    second.close()
    first.execute("INSERT INTO numbers VALUES (3)")
    assert seen_by_another(path) == "1 2 3"
    first.close()
    assert seen_by_another(path) == "1 2 3"


def test_what_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "service.db"
    db = connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE numbers (number INTEGER)")
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    db.close()
