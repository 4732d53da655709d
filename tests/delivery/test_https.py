"""A repository behind TLS: the machine's own certificates count, and no others."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgeguard.errors import UsageError
from tests.delivery.builders_server import Server

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Device, Publisher


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    place = tmp_path_factory.mktemp("tls") / "server.pem"
    place.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return place


def test_a_server_with_a_certificate_that_nobody_here_knows_is_not_asked(
    device: Device, publisher: Publisher, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server.of(publisher.repo, context) as server:
        with pytest.raises(UsageError, match=r"the certificate of `127.0.0.1` does not count here"):
            device.pull(server.address)
        assert server.behaviour.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert device.pull(server.address).changed
