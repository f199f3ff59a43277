"""RFC 9180 appendix A on this Python. Its cases are kept here: the RFC prints them, nobody publishes them as a file."""

from __future__ import annotations

import json
from pathlib import Path

from tests.vectors.runners import hpke
from tests.vectors.support import check_cases

APPENDIX_A = Path(__file__).with_name("rfc9180-appendix-a.json")


async def test_rfc_9180() -> None:
    await check_cases(APPENDIX_A.name, json.loads(APPENDIX_A.read_text()), hpke.run)
