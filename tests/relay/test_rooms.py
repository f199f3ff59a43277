"""Who is in which room of a relay, and what goes to whom."""

from __future__ import annotations

import pytest
from roomkey.errors import RoomkeyError
from roomkey_relay.rooms import MAX_PACKET, Rooms

ONE, OTHER = "a" * 22, "b" * 22


def refused(rooms: Rooms, name: str) -> str:
    with pytest.raises(RoomkeyError) as caught:
        rooms.enter(name, lambda packet: None)
    return caught.value.code


def test_a_packet_goes_to_all_others_of_the_room() -> None:
    rooms, heard = Rooms(), [list[bytes]() for _ in range(4)]
    ends = [rooms.enter(ONE, heard[place].append) for place in range(3)]
    rooms.enter(OTHER, heard[3].append)
    ends[0].send(b"hello")
    assert heard == [[], [b"hello"], [b"hello"], []]
    ends[1].leave()
    ends[1].leave()
    ends[0].send(b"again")
    ends[1].send(b"from outside")
    assert heard == [[], [b"hello"], [b"hello", b"again"], []]


def test_a_room_is_there_as_long_as_somebody_is_in_it() -> None:
    rooms = Rooms(rooms=1, in_room=2)
    ends = [rooms.enter(ONE, lambda packet: None) for _ in range(2)]
    assert refused(rooms, ONE) == refused(rooms, OTHER) == "service-unavailable"
    ends[0].leave()
    assert refused(rooms, OTHER) == "service-unavailable"
    ends[1].leave()
    assert rooms.inside(ONE) == 0
    rooms.enter(OTHER, lambda packet: None)


@pytest.mark.parametrize("name", ["", "short", "a" * 21, "a" * 87, "a" * 21 + "/", "../" + "a" * 22, "ä" * 22])
def test_what_is_no_name(name: str) -> None:
    rooms = Rooms()
    assert refused(rooms, name) == "bad-argument"
    assert rooms.inside(name) == 0


def test_packets_of_a_wrong_size_go_nowhere() -> None:
    rooms, heard = Rooms(), list[bytes]()
    end = rooms.enter(ONE, lambda packet: None)
    rooms.enter(ONE, heard.append)
    for packet in (b"", bytes(MAX_PACKET + 1), bytes(MAX_PACKET)):
        end.send(packet)
    assert heard == [bytes(MAX_PACKET)]
