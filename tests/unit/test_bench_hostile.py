"""What the benchmark says of hostile input; no timing is asserted."""

from __future__ import annotations

from build_scripts import bench_hostile
from build_scripts.bench_hostile import Worst, table


def test_a_row_shows_ours_beside_the_peer() -> None:
    rows = [Worst("bombs", 3, ".body.secrets", 100.0, 50.0, 12.34, 0.25), Worst("names", 2, "n1", 1.0, 0.2, 0.1)]
    _, first, second = table(rows).splitlines()
    assert first.split() == ["bombs", "3", "500", "250", "2.00", "12.3", "body.secrets"]
    assert second.split() == ["names", "2", "200", "-", "0.1", "n1"]


def test_the_dearest_byte_counts_and_the_most_memory() -> None:
    held: list[bytes] = []

    def run(data: bytes) -> None:
        for _ in range(len(data) if data[:1] == b"s" else 1):
            sum(range(2000))
        if data[:1] == b"m":
            held.append(bytes(5_000_000))
            held.clear()

    inputs = {"slow": b"s" * 500, "memory": b"m" * 500, "quick": b"q" * 500}
    worst = bench_hostile._worst("both", inputs, run, None)
    assert worst.input == "slow"
    assert worst.peak > 5
