"""From one version of the SQLite schema to the next. What a step does not name, `schema.sql` makes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

# By the version that a step starts from.
STEPS = {
    # A group id had one chain of epochs, registered for good: all are taken for begun with epoch 0.
    1: """
        CREATE TABLE epochs_2 (
          group_id BLOB NOT NULL, epoch INTEGER NOT NULL, token_hash BLOB NOT NULL, begun INTEGER NOT NULL,
          ended_by BLOB, ended REAL, next_hash BLOB,
          PRIMARY KEY (group_id, epoch, token_hash)
        );
        INSERT INTO epochs_2
          SELECT one.group_id, one.epoch, one.token_hash, 0, one.ended_by, one.ended, next.token_hash
          FROM epochs AS one LEFT JOIN epochs AS next
          ON next.group_id = one.group_id AND next.epoch = one.epoch + 1 AND one.ended_by IS NOT NULL;
        DROP TABLE epochs;
        ALTER TABLE epochs_2 RENAME TO epochs;
    """,
    2: "",  # the domain is written down by the next that opens it
}


def script(version: int, target: int) -> str:
    """The statements that bring a database of `version` to `target`; an empty database (0) needs none."""
    return "" if version == 0 else "".join(STEPS[step] for step in range(version, target))


def statements(script: str) -> Iterator[str]:
    """The single statements of a script, for those that must run inside a transaction (`executescript` commits)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
