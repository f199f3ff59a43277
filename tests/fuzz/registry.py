"""All targets by name. Loading one imports the room of the code that it needs, and no other."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.fuzz.target import Target

SEEDS = Path(__file__).parent / "seeds"

# name -> module of tests/fuzz
TARGETS: dict[str, str] = {
    "mls-message": "mls_targets",
    "mls-inner": "mls_targets",
    "mls-parts": "mls_targets",
    "ratchet-tree": "mls_targets",
    "stored-group": "mls_targets",
    "secret-tree": "mls_targets",
    "process": "group_targets",
    "join": "group_targets",
    "enter": "ticket_targets",
    "init-key-sets": "federation_targets",
    "draft-messages": "federation_targets",
    "stored-records": "federation_targets",
    "names": "federation_targets",
    "service-answers": "answer_targets",
    "inbox-stream": "answer_targets",
    "requests": "service_targets",
    "signature-fields": "service_targets",
    "signatures": "service_targets",
    "bridge-arguments": "service_targets",
    "log-texts": "log_targets",
    "log-structs": "log_targets",
    "log-heads": "head_targets",
    "manifest-pages": "page_targets",
    "codec": "codec_targets",
}


def load(name: str) -> Target:
    """The target of this name."""
    module = import_module(f"tests.fuzz.{TARGETS[name]}")
    found: list[Target] = [target for target in module.targets() if target.name == name]
    return found[0]
