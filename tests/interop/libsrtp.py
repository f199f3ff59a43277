"""libsrtp as pylibsrtp ships it, with what that package's own interface leaves out: MKIs, and several master keys.

The structs are those of libsrtp 2.7 (include/srtp.h); the version is checked before the first call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from roomkey.media.srtp import SrtpKeys

VERSION: Final = (2, 7)
# SRTP_MAX_TRAILER_LEN and the word of RTCP: what `protect` may write behind a packet.
MAX_TRAILER: Final = 16 + 128 + 4

# enum srtp_err_status_t, of those that packets cause
STATUS: Final = {
    2: "bad-param",
    7: "auth-fail",
    9: "replay-fail",
    10: "replay-old",
    13: "no-ctx",
    15: "key-expired",
    23: "parse-err",
    25: "bad-mki",
    26: "index-old",
}


class LibsrtpError(Exception):
    """libsrtp refused; its status."""


# struct srtp_master_key_t { unsigned char *key; unsigned char *mki_id; unsigned int mki_size; };
class _MasterKey(ctypes.Structure):
    _fields_ = (("key", ctypes.c_char_p), ("mki_id", ctypes.c_char_p), ("mki_size", ctypes.c_uint))


# struct srtp_crypto_policy_t
class _CryptoPolicy(ctypes.Structure):
    _fields_ = (
        ("cipher_type", ctypes.c_uint32),
        ("cipher_key_len", ctypes.c_int),
        ("auth_type", ctypes.c_uint32),
        ("auth_key_len", ctypes.c_int),
        ("auth_tag_len", ctypes.c_int),
        ("sec_serv", ctypes.c_int),
    )


# struct srtp_policy_t
class _Policy(ctypes.Structure):
    _fields_ = (
        ("ssrc_type", ctypes.c_int),
        ("ssrc_value", ctypes.c_uint),
        ("rtp", _CryptoPolicy),
        ("rtcp", _CryptoPolicy),
        ("key", ctypes.c_char_p),
        ("keys", ctypes.POINTER(ctypes.POINTER(_MasterKey))),
        ("num_master_keys", ctypes.c_ulong),
        ("deprecated_ekt", ctypes.c_void_p),
        ("window_size", ctypes.c_ulong),
        ("allow_repeat_tx", ctypes.c_int),
        ("enc_xtn_hdr", ctypes.c_void_p),
        ("enc_xtn_hdr_count", ctypes.c_int),
        ("next", ctypes.c_void_p),
    )


def _load() -> ctypes.CDLL:
    found = find_spec("pylibsrtp._binding")
    assert found is not None
    assert found.origin is not None
    library = ctypes.CDLL(found.origin)
    library.srtp_get_version.restype = ctypes.c_uint
    number = library.srtp_get_version()
    if (number >> 24, number >> 16 & 0xFF) != VERSION:
        raise RuntimeError(f"expected libsrtp {VERSION[0]}.{VERSION[1]}, got {number >> 24}.{number >> 16 & 0xFF}")
    return library


_library = _load()


class Session:
    """One sender's streams in libsrtp, to send them or to receive them.

    `keys` are the sender's of several epochs, all of one profile; packets name theirs where `mki` is true, else the
    first ones count. `ssrcs` with the rollover counter that each begins with.
    """

    def __init__(self, keys: Sequence[SrtpKeys], ssrcs: dict[int, int], *, mki: bool, window: int = 1024) -> None:
        self._mki = mki
        self._session = ctypes.c_void_p()
        self._check(_library.srtp_create(ctypes.byref(self._session), None))
        for ssrc, rollover in ssrcs.items():
            self._with_policy(_library.srtp_add_stream, keys, ssrc, window)
            self._check(_library.srtp_set_stream_roc(self._session, ssrc, rollover))

    def rekey(self, keys: Sequence[SrtpKeys], ssrc: int, window: int = 1024) -> None:
        """Other keys for a stream, which runs on."""
        self._with_policy(_library.srtp_update_stream, keys, ssrc, window)

    def protect(self, packet: bytes, key: int = 0, *, rtcp: bool = False) -> bytes:
        """Under the key of this number. Raises LibsrtpError."""
        function = _library.srtp_protect_rtcp_mki if rtcp else _library.srtp_protect_mki
        return self._run(function, packet, int(self._mki), key)

    def unprotect(self, packet: bytes, *, rtcp: bool = False) -> bytes:
        """Raises LibsrtpError."""
        function = _library.srtp_unprotect_rtcp_mki if rtcp else _library.srtp_unprotect_mki
        return self._run(function, packet, int(self._mki))

    def close(self) -> None:
        self._check(_library.srtp_dealloc(self._session))

    def _with_policy(
        self, function: ctypes._NamedFuncPointer, keys: Sequence[SrtpKeys], ssrc: int, window: int
    ) -> None:
        policy = _Policy(ssrc_type=1, ssrc_value=ssrc, window_size=window)
        profile = keys[0].profile.number  # libsrtp numbers them as DTLS-SRTP does
        self._check(_library.srtp_crypto_policy_set_from_profile_for_rtp(ctypes.byref(policy.rtp), profile))
        self._check(_library.srtp_crypto_policy_set_from_profile_for_rtcp(ctypes.byref(policy.rtcp), profile))
        masters = [_MasterKey(item.master_key + item.master_salt, item.mki, len(item.mki)) for item in keys]
        if self._mki:
            pointers = (ctypes.POINTER(_MasterKey) * len(masters))(*(ctypes.pointer(item) for item in masters))
            policy.keys, policy.num_master_keys = pointers, len(masters)
        else:
            policy.key = masters[0].key
        self._check(function(self._session, ctypes.byref(policy)))  # it copies all of it

    def _run(self, function: ctypes._NamedFuncPointer, packet: bytes, *arguments: int) -> bytes:
        buffer = ctypes.create_string_buffer(packet, len(packet) + MAX_TRAILER)
        size = ctypes.c_int(len(packet))
        self._check(function(self._session, buffer, ctypes.byref(size), *map(ctypes.c_uint, arguments)))
        return buffer.raw[: size.value]

    @staticmethod
    def _check(status: int) -> None:
        if status != 0:
            raise LibsrtpError(STATUS.get(status, f"status {status}"))
