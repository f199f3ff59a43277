"""A device to play on, where a machine has none: PulseAudio with a sink that nobody hears."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60.0


@contextmanager
def sound_device(pulseaudio: Path) -> Iterator[dict[str, str]]:
    """Runs while the context lasts; gives the environment of programs that are to play there."""
    with tempfile.TemporaryDirectory(prefix="roomkey-sound-", ignore_cleanup_errors=True) as folder:
        socket = Path(folder) / "native"
        protocol = f"module-native-protocol-unix socket={socket} auth-anonymous=1"
        command = [
            str(pulseaudio),
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "-L",
            protocol,
            "-L",
            "module-null-sink",
        ]
        own = {**os.environ, "HOME": folder, "PULSE_RUNTIME_PATH": folder}
        process = subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not socket.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise OSError(f"expected {pulseaudio} to listen, got nothing")
                time.sleep(0.05)
            yield {"PULSE_SERVER": f"unix:{socket}", "PULSE_RUNTIME_PATH": folder}
        finally:
            process.terminate()
            process.wait()
