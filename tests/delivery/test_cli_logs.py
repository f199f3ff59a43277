"""Mail from the command line where both services keep logs of keys and audit each other's: settings, names that come
back, names that begin anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from roomkey.transparency.trust_text import trust_values

from tests.delivery.test_cli_mail import REFUSED, USAGE, Desk
from tests.support.logged_services import LoggedServices, logged_services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[LoggedServices]:
    folder = tmp_path / "services"
    folder.mkdir()
    with logged_services(folder) as running:
        yield running


def desk(services: LoggedServices, identity: str, folder: Path) -> Desk:
    """A person whose settings name both logs."""
    folder.mkdir(mode=0o700)
    lines = []
    for domain, trust in services.trusts.items():
        values = "\n".join(f"{name} = {json.dumps(value)}" for name, value in trust_values(trust).items())
        lines.append(f'[transparency."{domain}"]\n{values}\n')
    (folder / "roomkey.toml").write_text("\n".join(lines))
    return Desk(services, identity, folder)


def test_mail_between_logged_names(services: LoggedServices, tmp_path: Path) -> None:
    alice = desk(services, "alice@email1.example", tmp_path / "alice")
    bob = desk(services, "bob@email2.example", tmp_path / "bob")
    alice.enrol()
    bob.enrol()
    alice.run("write", bob.identity, "--text", "proved")
    assert bob.read("--accept", alice.identity) == ["proved"]
    bob.run("write", alice.identity, "--text", "likewise")
    assert alice.read() == ["likewise"]


def test_a_name_comes_back_by_its_recovery_key(services: LoggedServices, tmp_path: Path) -> None:
    alice = desk(services, "alice@email1.example", tmp_path / "alice")
    alice.enrol()
    letters = alice.run("recovery-key").splitlines()[0]
    assert len(letters.replace(" ", "")) == 60
    assert "holds no recovery key" in alice.run("recovery-key", expect=REFUSED)
    again = desk(services, alice.identity, tmp_path / "again")
    addresses = [argument for url in services.urls for argument in ("--service", url)]
    wrong = ("B" if letters[0] == "A" else "A") + letters[1:]
    said = again.run("enrol", alice.identity, *addresses, "--recovery", "-", text=wrong, expect=REFUSED)
    assert "recovery-key-wrong" in said
    again.run("enrol", alice.identity, *addresses, "--recovery", "-", text=letters.lower())
    assert "nothing new" in again.run("read")
    assert "not-in-manifest" in alice.run("read", expect=REFUSED)  # the old device is off the list


def test_settings_of_a_log_are_exact(services: LoggedServices, tmp_path: Path) -> None:
    alice = desk(services, "alice@email1.example", tmp_path / "alice")
    path = alice.folder / "roomkey.toml"
    whole = path.read_text()
    for old, new in (("auditors", "witnesses"), ("roomkey+", "roomkex+"), ('vrfKey = "', 'vrfKey = "A')):
        path.write_text(whole.replace(old, new, 1))
        assert 'transparency."email1.example"' in alice.run("people", expect=USAGE)
