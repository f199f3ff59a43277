"""Keys and signatures at which libraries part ways, on this Python; tests/browser/test_vectors.py in the browser."""

from __future__ import annotations

from tests.vectors import edge_cases
from tests.vectors.runners import edge_keys, edge_signatures
from tests.vectors.support import check_cases


async def test_keys_that_are_refused() -> None:
    await check_cases("edge keys", edge_cases.key_cases(), edge_keys.run)


async def test_signatures_that_libraries_disagree_about() -> None:
    cases = edge_cases.signature_cases()
    assert sum(case["admitted"] and case["good"] for case in cases) == 2  # all else is refused, by key or by signature
    assert any(case["good"] and not case["admitted"] for case in cases)  # why keys are admitted at all
    await check_cases("edge signatures", cases, edge_signatures.run)
