"""What a client asks its home service to pass on to another domain's (server fanout, the draft's section 4.1.2).

The answer comes back as it is, with its status and media type, so nothing in it is proved by having come through here:
who asked proves it as if it had asked there itself.
"""

from __future__ import annotations

from typing import Final

from roomkey.tls import Opaque, Struct

RELAY: Final = "application/roomkey-relay"  # Relayed
RELAY_PATH: Final = "/v1/relay"


# struct { opaque domain<V>; opaque path<V>; opaque content_type<V>; opaque accept<V>; opaque body<V>; } Relayed;
class Relayed(Struct):
    """A POST of `body` to `path` of the service of `domain`; `accept` is the media type that is wanted. All but the
    body are ASCII.
    """

    domain: Opaque
    path: Opaque
    content_type: Opaque
    accept: Opaque
    body: Opaque
