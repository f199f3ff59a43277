"""Merkle proofs, good and forged (transparency-dev/merkle)."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roomkey.errors import RoomkeyError
from roomkey.transparency import merkle

from tests.vectors.support import PASSED

DATA = Path(__file__).parent / "data" / "merkle"


def test_hashes() -> None:
    expected = json.loads((DATA / "rfc6962-hashes.json").read_text())
    assert merkle.EMPTY_ROOT.hex() == expected["empty_root"]
    assert merkle.leaf_hash(b"").hex() == expected["leaf_hash_of_empty"]
    assert merkle.leaf_hash(b"L123456").hex() == expected["leaf_hash_of_L123456"]
    assert merkle.node_hash(b"N123", b"N456").hex() == expected["node_hash_N123_N456"]


def test_inclusion() -> None:
    check("inclusion.json", inclusion)


def test_consistency() -> None:
    check("consistency.json", consistency)


def inclusion(case: dict[str, Any]) -> None:
    merkle.verify_inclusion(
        b64decode(case["leafHash"]), case["leafIdx"], case["treeSize"], hashes(case["proof"]), b64decode(case["root"])
    )


def consistency(case: dict[str, Any]) -> None:
    merkle.verify_consistency(
        case["size1"], case["size2"], hashes(case["proof"]), b64decode(case["root1"]), b64decode(case["root2"])
    )


def check(name: str, run: Callable[[dict[str, Any]], None]) -> None:
    cases = json.loads((DATA / name).read_text())
    for title, case in cases.items():
        code: str | None = None
        try:
            run(case)
        except RoomkeyError as error:
            code = error.code
        assert code == ("log-proof-invalid" if case["wantErr"] else None), title
    PASSED[name] = {0: len(cases)}


def hashes(encoded: list[str] | None) -> list[bytes]:
    return [b64decode(item) for item in encoded or []]
