"""The browser finder keeps its order, believes only a smoke run, ends in a sentence. The browsers here are scripts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from build_scripts import browser

WORKS = '#!/bin/sh\n[ "$1" = --version ] && echo "Chromium 1.0" || echo "<p>smoke</p>"\n'
STUB = '#!/bin/sh\necho "install the snap" >&2\nexit 10\n'
SILENT = "#!/bin/sh\nexit 0\n"
NEEDS_NO_SANDBOX = '#!/bin/sh\ncase "$*" in *--no-sandbox*|--version) echo "<p>smoke</p>";; *) exit 1;; esac\n'


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes an executable script."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    return write


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No browser anywhere, and none to be had, unless a test says otherwise."""
    monkeypatch.delenv(browser.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setattr(browser, "ELSEWHERE", ())
    monkeypatch.setattr(browser, "ON_PATH", ("google-chrome", "chromium-here"))
    for way in ("downloaded_before", "download", "install_on_debian"):
        monkeypatch.setattr(browser, way, nothing)


def nothing() -> Iterator[Path]:
    return iter(())


def test_a_stub_is_passed_over(program: Callable[[str, str], Path]) -> None:
    program("google-chrome", STUB)
    works = program("chromium-here", WORKS)
    found = browser.find_browser()
    assert found.path == works
    assert found.version == "Chromium 1.0"


@pytest.mark.parametrize("text", [STUB, SILENT])
def test_a_bare_machine_gets_a_sentence(program: Callable[[str, str], Path], text: str) -> None:
    program("google-chrome", text)
    with pytest.raises(browser.BrowserMissing, match="Install one"):
        browser.find_browser()


def test_the_named_one_comes_first(program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    program("google-chrome", WORKS)
    named = program("mine", WORKS)
    monkeypatch.setenv(browser.VARIABLE, str(named))
    assert browser.find_browser().path == named


def test_a_named_one_that_does_not_start_is_not_replaced(
    program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program("google-chrome", WORKS)
    monkeypatch.setenv(browser.VARIABLE, str(program("mine", STUB)))
    with pytest.raises(browser.BrowserMissing, match="does not start"):
        browser.find_browser()


def test_ways_are_tried_in_order(program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def way(name: str, text: str) -> Callable[[], Iterator[Path]]:
        def find() -> Iterator[Path]:
            tried.append(name)
            yield program(name, text)

        return find

    monkeypatch.setattr(browser, "downloaded_before", way("before", STUB))
    monkeypatch.setattr(browser, "download", way("download", WORKS))
    monkeypatch.setattr(browser, "install_on_debian", way("debian", WORKS))
    assert browser.find_browser().path.name == "download"
    assert tried == ["before", "download"]


def test_the_sandbox_is_given_up_only_where_it_must(
    program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program("google-chrome", WORKS)
    assert "--no-sandbox" not in browser.find_browser().arguments
    program("google-chrome", NEEDS_NO_SANDBOX)
    assert "--no-sandbox" in browser.find_browser().arguments


def test_root_has_no_sandbox(program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program("google-chrome", WORKS)
    assert browser.find_browser().arguments[0] == "--no-sandbox"
