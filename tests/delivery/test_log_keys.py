"""The file of a log's keys, and how operators say who audits whom."""

from __future__ import annotations

import argparse
import stat
from pathlib import Path

import pytest
from roomkey.errors import RoomkeyError
from roomkey.transparency.notes import VerifierKey
from roomkey_delivery.log import commands
from roomkey_delivery.log.config import Audited, LogConfig, Witness, read_audited, read_witness
from roomkey_delivery.log.keys import LogKeys, load_or_make, make_keys

from tests.delivery.processes import run_cli

HOME, OTHER = "email1.example", "email2.example"
URL = "https://ds.email2.example/v1/witness"


def code_of(work: object) -> str:
    with pytest.raises(RoomkeyError) as caught:
        work()  # type: ignore[operator]
    return caught.value.code


def test_a_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "log.keys"
    keys = load_or_make(file, HOME)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_or_make(file, HOME) == keys
    assert [path.name for path in tmp_path.iterdir()] == ["log.keys"]
    assert len({keys.log.private, keys.vrf_secret, keys.cosigner.private}) == 3


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"origin": "email1.example/roomkey", "log": "AA==", "vrf": "", "auditor": ""}']
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "log.keys"
    file.write_text(text)
    assert code_of(lambda: load_or_make(file, HOME)) == "bad-argument"


def test_the_keys_of_another_domain_are_refused(tmp_path: Path) -> None:
    load_or_make(tmp_path / "log.keys", HOME)
    assert code_of(lambda: load_or_make(tmp_path / "log.keys", OTHER)) == "bad-argument"


def test_a_log_that_was_lost_has_an_heir_of_another_name(tmp_path: Path) -> None:
    file = tmp_path / "log.keys"
    said = run_cli("log-keys", "--log-keys", str(file), "--domain", HOME, "--name", "roomkey-2").stdout
    keys = load_or_make(file, HOME)
    assert said.startswith("log email1.example/roomkey-2+")
    assert (keys.origin, keys.domain) == ("email1.example/roomkey-2", HOME)
    assert code_of(lambda: load_or_make(file, HOME, "roomkey")) == "bad-argument"
    assert run_cli("log-keys", "--log-keys", str(file), "--domain", HOME, "--name", "a b").returncode == 1


def test_the_command_prints_what_others_are_configured_with(tmp_path: Path) -> None:
    file = tmp_path / "log.keys"
    results = [run_cli("log-keys", "--log-keys", str(file), "--domain", HOME) for _ in range(2)]
    assert results[0].stdout == results[1].stdout
    said = dict(line.split(" ") for line in results[0].stdout.splitlines())
    keys = load_or_make(file, HOME)
    assert said == keys.public()
    assert VerifierKey.decode(said["log"]) == keys.log_key
    assert VerifierKey.decode(said["auditor"]) == keys.auditor_key
    seeds = [keys.log.private, keys.vrf_secret, keys.cosigner.private]
    assert all(isinstance(seed, bytes) and seed.hex() not in results[0].stdout for seed in seeds)


def test_witnesses_and_logs_as_operators_write_them() -> None:
    keys = make_keys(OTHER)
    witness = read_witness(f"{keys.auditor_key.encode()}={URL}/", auditor=True)
    assert witness == Witness(keys.auditor_key, URL, auditor=True)
    audited = read_audited(f"{keys.log_key.encode()}=http://127.0.0.1:8443/v1/log")
    assert audited == Audited(keys.log_key, "http://127.0.0.1:8443/v1/log")


@pytest.mark.parametrize(
    "text", ["", "x", "{key}", "{key}=", "{key}=ftp://a", "{key}x=" + URL, "=" + URL, "{key}=http://ds.email2.example/w",
             "{key}=" + URL + "?a", "{key}=" + URL + "#a", "{key}=https://u@ds.email2.example/w"]
)  # fmt: skip
def test_other_words_are_refused(text: str) -> None:
    key = make_keys(OTHER).auditor_key.encode()
    assert code_of(lambda: read_witness(text.replace("{key}", key), auditor=True)) in (
        "bad-argument",
        "invalid-address",
    )


def _witness(keys: LogKeys, *, auditor: bool = True) -> Witness:
    return Witness(keys.auditor_key, URL, auditor)


def test_configurations_that_prove_nothing_are_refused() -> None:
    own, other, third = (make_keys(name) for name in (HOME, OTHER, "email3.example"))
    twin = Witness(other.auditor_key._replace(name="somebody.example/else"), URL, auditor=True)
    for witnesses in (
        (_witness(own),),  # ourselves
        (_witness(other), _witness(other)),
        (_witness(other), twin),  # one key by two names would count twice
        (_witness(other, auditor=False),),  # nobody counts
        (Witness(other.log_key, URL, auditor=True),),  # a log's key
        tuple(_witness(make_keys(f"{number}.example")) for number in range(80)),  # more than an answer holds
    ):
        assert code_of(lambda given=witnesses: LogConfig(own, given)) == "bad-argument"
    assert code_of(lambda: LogConfig(own, (), (Audited(other.auditor_key, URL),))) == "bad-argument"
    assert code_of(lambda: LogConfig(own, (), (Audited(other.log_key, URL),) * 2)) == "bad-argument"
    assert LogConfig(own, (_witness(other), _witness(third, auditor=False))).auditors == (_witness(other),)


@pytest.mark.parametrize(("auditors", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_quorum_is_more_than_half_of_the_auditors(auditors: int, needed: int) -> None:
    keys = [make_keys(f"{number}.example") for number in range(auditors + 1)]
    beside = _witness(keys[-1], auditor=False)
    config = LogConfig(make_keys(HOME), (*(_witness(item) for item in keys[:-1]), beside))
    names = [item.auditor_key.name for item in keys]
    assert config.is_quorum(frozenset(names[:needed]))
    assert not config.is_quorum(frozenset([*names[: needed - 1], names[-1], "somebody"]))


def _options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    commands.add_options(parser)
    parser.add_argument("--domain", default=HOME)
    return parser.parse_args(arguments)


def test_options_of_serve(tmp_path: Path) -> None:
    file, other = tmp_path / "log.keys", make_keys(OTHER)
    auditor, audit = f"{other.auditor_key.encode()}={URL}", f"{other.log_key.encode()}=https://ds.email2.example/v1/log"
    config = commands.log_config(_options("--log-keys", str(file), "--auditor", auditor, "--audit", audit))
    assert config is not None
    assert config.keys == load_or_make(file, HOME)
    assert (len(config.auditors), len(config.audits)) == (1, 1)
    assert commands.log_config(_options()) is None
    assert code_of(lambda: commands.log_config(_options("--auditor", auditor))) == "bad-argument"
    assert code_of(lambda: commands.log_config(_options("--log-keys", str(file)))) == "bad-argument"
    assert (
        code_of(lambda: commands.log_config(_options("--log-keys", str(file), "--witness", auditor))) == "bad-argument"
    )
    only = commands.log_config(_options("--log-keys", str(file), "--audit", audit))
    assert only is not None
    assert only.auditors == ()
