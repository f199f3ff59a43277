"""The protocol version (RFC 9420 section 6): there is one."""

from __future__ import annotations

from typing import Annotated, Final

from roomkey.tls import one_of, uint16

# enum { reserved(0), mls10(1), (65535) } ProtocolVersion;
MLS10: Final = 0x0001
# The version of everything we parse; one we do not know could not be read any further.
ProtocolVersion = Annotated[int, one_of(uint16, MLS10)]
