"""An authority of our own and the certificates that it signs: made, read back, renewed in steps that strand nobody."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

EARLY: Final = timedelta(hours=1)  # a certificate is valid since then: clocks differ

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Terms:
    """How long certificates live, and how much of that is left when they are renewed."""

    authority: timedelta = timedelta(days=3650)
    authority_left: timedelta = timedelta(days=365)
    serving: timedelta = timedelta(days=365)
    serving_left: timedelta = timedelta(days=120)


TERMS: Final = Terms()


class Pair(NamedTuple):
    """A certificate and its private key, in PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the Secret holds: the trusted authorities, newest first with its key, and the serving certificate."""

    authorities: tuple[bytes, ...]
    authority_key: bytes
    serving: Pair

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Bundle | None:
        """The bundle in a Secret's data, in the keys that Katib's own generator uses; None where it cannot be used."""
        try:
            files = {name: base64.b64decode(data[name]) for name in ("ca.crt", "ca.key", "tls.crt", "tls.key")}
            bundle = cls(
                tuple(_pem(each) for each in x509.load_pem_x509_certificates(files["ca.crt"])),
                files["ca.key"],
                Pair(files["tls.crt"], files["tls.key"]),
            )
            whole = _belong(bundle.authorities[0], bundle.authority_key) and _belong(*bundle.serving)
        except (KeyError, ValueError, TypeError):
            return None
        return bundle if whole else None

    def data(self) -> dict[str, str]:
        """As a Secret's data."""
        files = {
            "ca.crt": b"".join(self.authorities),
            "ca.key": self.authority_key,
            "tls.crt": self.serving.certificate,
            "tls.key": self.serving.key,
        }
        return {name: base64.b64encode(content).decode() for name, content in files.items()}

    def trusted(self, now: datetime) -> bytes:
        """The authorities that are valid still: what the API server is to trust."""
        return b"".join(each for each in self.authorities if _load(each).not_valid_after_utc > now)


def renewed(
    bundle: Bundle | None, names: Sequence[str], now: datetime, trusted: bool = False, terms: Terms = TERMS
) -> Bundle | None:
    """What is to take the bundle's place; None while nothing is due.

    A new authority comes beside the old one; certificates are signed with it only once the API server is known to
    trust it (`trusted`). So at no moment is there a server whose certificate is refused.
    """
    if bundle is None or _load(bundle.authorities[0]).not_valid_after_utc <= now:
        authority = new_authority(now, terms)
        return Bundle((authority.certificate,), authority.key, new_serving(authority, names, now, terms))
    newest = _load(bundle.authorities[0])
    if newest.not_valid_after_utc - now < terms.authority_left:
        authority = new_authority(now, terms)
        held = (each for each in bundle.authorities if _load(each).not_valid_after_utc > now)
        return replace(bundle, authorities=(authority.certificate, *held), authority_key=authority.key)
    serving = _load(bundle.serving.certificate)
    refused = serving.not_valid_after_utc <= now or not any(_signed(serving, each) for each in bundle.authorities)
    due = serving.not_valid_after_utc - now < terms.serving_left or not set(names) <= set(_names(serving))
    if refused or ((due or not _signed(serving, bundle.authorities[0])) and trusted):
        signer = Pair(bundle.authorities[0], bundle.authority_key)
        return replace(bundle, serving=new_serving(signer, names, now, terms))
    return None


def new_authority(now: datetime, terms: Terms = TERMS) -> Pair:
    """A certificate authority of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "katib"), x509.NameAttribute(NameOID.COMMON_NAME, "katib-ca")]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, key, now, terms.authority)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def new_serving(authority: Pair, names: Sequence[str], now: datetime, terms: Terms = TERMS) -> Pair:
    """A server's certificate for these names and addresses, signed by the authority."""
    key, issuer = ec.generate_private_key(ec.SECP256R1()), _load(authority.certificate)
    signer: Any = serialization.load_pem_private_key(authority.key, None)
    lifetime = min(terms.serving, issuer.not_valid_after_utc - now)
    identity = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]), key, now, lifetime)
        .issuer_name(issuer.subject)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(identity, critical=False)
    )
    return Pair(_pem(builder.sign(signer, hashes.SHA256())), _key_pem(key))


def _builder(subject: x509.Name, key: Key, now: datetime, lifetime: timedelta) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return [*extension.value.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)]


def _signed(certificate: x509.Certificate, authority: bytes) -> bool:
    try:
        certificate.verify_directly_issued_by(_load(authority))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _belong(certificate: bytes, key: bytes) -> bool:
    """Whether the certificate is about this key."""
    private: Any = serialization.load_pem_private_key(key, None)
    return bool(private.public_key() == _load(certificate).public_key())


def _load(certificate: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
