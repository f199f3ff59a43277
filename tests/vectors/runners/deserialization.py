"""deserialization.json: lengths of variable-size vectors (RFC 9420 section 2.1.2)."""

from __future__ import annotations

from typing import Any

from roomkey.crypto.provider import CryptoProvider
from roomkey.tls import varint


async def run(crypto: CryptoProvider, cases: list[Any]) -> dict[int, int]:
    for case in cases:
        header = bytes.fromhex(case["vlbytes_header"])
        assert varint.decode(header) == case["length"], f"decode {case['length']}"
        assert varint.encode(case["length"]) == header, f"encode {case['length']}"
    return {0: len(cases)}
