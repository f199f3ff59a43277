"""A certificate for a relay without a name: made at each start, valid for ten days, and known to browsers by its hash
(W3C WebTransport, `serverCertificateHashes`: ECDSA with P-256, two weeks at most).
"""

from __future__ import annotations

import datetime
import ipaddress
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME: Final = datetime.timedelta(days=10)


class OwnCertificate(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def hash(self) -> bytes:
        """SHA-256 of the certificate, 32 bytes."""
        return self.certificate.fingerprint(hashes.SHA256())


def own_certificate(host: str) -> OwnCertificate:
    """A new one for a host's name or address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "roomkey-relay")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_name_of(host)]), critical=False)
    )
    return OwnCertificate(builder.sign(key, hashes.SHA256()), key)


def _name_of(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
