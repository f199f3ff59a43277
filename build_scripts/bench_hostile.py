"""What hostile bytes cost: the worst over the fuzz corpus and over bombs, natively, beside ts-mls on the same bytes.

The corpus is tests/fuzz/seeds and what `fuzz` has found on this machine (.roomkey/fuzz). Bombs are messages of
`BOMB_BYTES` in which each vector in turn holds as many small items as fit (tests/fuzz/bombs.py); both engines decode
them in this run, and a valid commit of that size, which adds 3,000 members, shows what honest bytes cost.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from roomkey.errors import RoomkeyError
from roomkey.mls.framing import MAX_MLS_MESSAGE, MLSMessage

from build_scripts import fuzz, paths

BOMB_BYTES = 1_000_000
HONEST_ADDS = 3000
ROUNDS = 3  # the fastest counts: what else the machine does is not the bytes' fault
PEER = paths.SCRIPTS / "bench_hostile.mjs"


@dataclass(frozen=True)
class Worst:
    """The dearest of some inputs. `input`: which; `kilobytes` its size; `peak`: megabytes, of the input that holds most
    memory, itself included; `peer`: milliseconds a kilobyte that ts-mls takes for its own dearest, None if not asked.
    """

    name: str
    inputs: int
    input: str
    kilobytes: float
    milliseconds: float
    peak: float
    peer: float | None = None

    @property
    def per_kilobyte(self) -> float:
        return self.milliseconds / self.kilobytes


def measure(say: Callable[[str], None]) -> list[Worst]:
    """All rows: the bombs, an honest message of their size, and each target of the corpus."""
    from tests.fuzz import floods
    from tests.fuzz.bombs import bombs
    from tests.fuzz.registry import load

    made = {bomb.name: bomb.make(BOMB_BYTES) for bomb in bombs(MLSMessage.codec())}
    honest = floods.to_bob()["adds"](HONEST_ADDS)
    rows: list[Worst] = []
    for name, inputs in (("bombs, 1 MB", made), (f"honest, {len(honest) / 1e6:.1f} MB", {"adds": honest})):
        say(f"hostile input: {name}")
        rows.append(_worst(name, inputs, _decode, max(_peer(inputs.values()))))
    (worst,) = (bomb for bomb in bombs(MLSMessage.codec()) if bomb.name == rows[0].input)
    limit = {worst.name: worst.make(MAX_MLS_MESSAGE - 64)}
    rows.append(_worst("the worst of them, 8 MB", limit, _decode, max(_peer(limit.values()))))
    for target in fuzz.targets():
        folders = (fuzz.SEEDS / target, fuzz.FOUND / target)
        files = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
        say(f"hostile input: {len(files)} inputs of {target}")
        rows.append(_worst(target, {path.name: path.read_bytes() for path in files}, load(target).run, None))
    return rows


def _decode(data: bytes) -> object:
    try:
        return MLSMessage.decode(data)
    except RoomkeyError as error:
        return error


def _worst(name: str, inputs: dict[str, bytes], run: Callable[[bytes], object], peer: float | None) -> Worst:
    from tests.fuzz.work import peak_bytes

    run(next(iter(inputs.values())))  # what is made once is no input's cost
    found: list[Worst] = []
    peak = 0.0
    for label, data in inputs.items():
        if not data:
            continue
        milliseconds = min(_milliseconds(partial(run, data)) for _ in range(ROUNDS))
        kilobytes = max(1.0, len(data) / 1000)  # a packet is no cheaper to send for holding a few bytes
        found.append(Worst(name, len(inputs), label, kilobytes, milliseconds, 0.0, peer))
    for row in sorted(found, key=lambda row: -row.per_kilobyte)[:5]:
        data = inputs[row.input]
        peak = max(peak, (peak_bytes(partial(run, data)) + len(data)) / 1e6)
    worst = max(found, key=lambda row: row.per_kilobyte)
    return Worst(**(asdict(worst) | {"peak": peak}))


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _peer(inputs: Iterable[bytes]) -> list[float]:
    """Milliseconds a kilobyte that ts-mls takes to decode or refuse each input."""
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(inputs):
            (Path(folder) / f"{number:04}").write_bytes(data)
        words = ["node", str(PEER), folder, str(ROUNDS)]
        done = subprocess.run(words, cwd=paths.WEB, capture_output=True, text=True, check=True)
    answer: list[float] = json.loads(done.stdout)
    return answer


def table(rows: list[Worst]) -> str:
    """One line a row: ours per kilobyte, the peer's, their ratio, and the most memory."""
    lines = [f"{'hostile input':<28}{'inputs':>7}{'us/kB':>9}{'ts-mls':>9}{'ratio':>7}{'peak MB':>9}  the worst"]
    for row in rows:
        peer = "-" if row.peer is None else f"{1000 * row.peer:,.0f}"
        ratio = "" if row.peer is None else f"{row.per_kilobyte / row.peer:.2f}"
        cells = f"{row.inputs:>7}{1000 * row.per_kilobyte:>9,.0f}{peer:>9}{ratio:>7}{row.peak:>9.1f}"
        lines.append(f"{row.name:<28}{cells}  {row.input.lstrip('.')}")
    return "\n".join(lines)
