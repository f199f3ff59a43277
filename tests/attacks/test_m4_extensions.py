"""M4: duplicate and unsupported extensions, wherever extensions stand, in messages of ts-mls."""

from __future__ import annotations

from roomkey.mls.extensions import Extension, ExtensionType, RequiredCapabilities
from roomkey.mls.proposals import GroupContextExtensions, ReInit, proposal

from tests.attacks.foreigners import SUITE, Table, add, not_joined, refused
from tests.interop.conftest import ts_mls
from tests.interop.peer import Peer

__all__ = ["ts_mls"]

ID = Extension(ExtensionType.APPLICATION_ID, b"a tablet")
NAME = Extension(ExtensionType.ROOMKEY_NAME, b"")
UNLISTED = Extension(0xF0F0, b"")


async def test_a_leaf_with_one_twice(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    package = await table.package(lambda leaf: leaf.replace(extensions=(ID, ID)))
    await refused(table, await table.list_of(*add(package)), "leaf-extensions-unique")


async def test_a_leaf_with_one_that_it_does_not_support(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    package = await table.package(lambda leaf: leaf.replace(extensions=(UNLISTED,)))
    await refused(table, await table.list_of(*add(package)), "leaf-capabilities-extensions")


async def test_a_paths_leaf(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    twice = await table.path_with(lambda leaf: leaf.replace(extensions=(ID, ID)))
    await refused(table, twice, "leaf-extensions-unique")
    unlisted = await table.path_with(lambda leaf: leaf.replace(extensions=(UNLISTED,)))
    await refused(table, unlisted, "leaf-capabilities-extensions")


async def test_a_key_package(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    twice = await table.package(outer=lambda package: package.replace(extensions=(UNLISTED, UNLISTED)))
    await refused(table, await table.list_of(*add(twice)), "key-package-extensions-unique")
    last_resort = Extension(ExtensionType.LAST_RESORT_KEY_PACKAGE, b"")
    unlisted = await table.package(outer=lambda package: package.replace(extensions=(last_resort,)))
    await refused(table, await table.list_of(*add(unlisted)), "key-package-extensions")


async def test_the_groups_context(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    needs = Extension(ExtensionType.REQUIRED_CAPABILITIES, RequiredCapabilities((0xF0F0,)).encode())
    for extensions in ((UNLISTED, UNLISTED), (UNLISTED,), (needs,)):
        data = await table.list_of(proposal(GroupContextExtensions(extensions)))
        await refused(table, data, "context-extensions")


async def test_a_reinit(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    data = await table.list_of(proposal(ReInit(b"next", 1, SUITE.number, (NAME, NAME))))
    await refused(table, data, "reinit-extensions")


async def test_a_welcome(ts_mls: Peer) -> None:
    table = await Table.create(ts_mls)
    twice = await table.welcome(info=lambda info: info.replace(extensions=(*info.extensions, UNLISTED, UNLISTED)))
    await not_joined(*twice, "welcome-extensions")
    twice = await table.welcome(context=lambda context: context.replace(extensions=(NAME, NAME)))
    await not_joined(*twice, "welcome-extensions")
    unlisted = await table.welcome(context=lambda context: context.replace(extensions=(UNLISTED,)))
    await not_joined(*unlisted, "leaf-required-extensions")
    unknown, data = await table.welcome(info=lambda info: info.replace(extensions=(*info.extensions, UNLISTED)))
    await unknown.join(data, None, {})  # of a GroupInfo, unknown ones are ignored (RFC 9420 section 12.4.3)
