"""What a delivery service's refusal becomes, whoever wrote it."""

from __future__ import annotations

import pytest
from roomkey.federation.calls import MAX_RETRY_AFTER, problem_of
from roomkey.host.interface import HttpResponse


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("30", 30.0),
        ("3600", 3600.0),
        ("3601", MAX_RETRY_AFTER),
        ("999999", MAX_RETRY_AFTER),
        ("9" * 19, MAX_RETRY_AFTER),
        ("9" * 400, None),
        ("-1", None),
        ("soon", None),
        ("٣", None),
    ],
)
def test_nobody_is_made_to_wait_for_days(said: str, taken: float | None) -> None:
    body = b'{"code": "too-many-requests", "text": "expected fewer"}'
    headers = {"content-type": "application/json", "retry-after": said}
    error = problem_of(HttpResponse(429, headers, body))
    assert (error.code, error.retry_after) == ("too-many-requests", taken)
