"""Certificates and their renewal, step by step."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from katib_py.backends.k8s.pki import Bundle, Pair, Terms, new_authority, new_serving, renewed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("katib-controller.kubeflow.svc", "127.0.0.1")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def bundle():
    return renewed(None, NAMES, NOW)


def serving(bundle):
    return x509.load_pem_x509_certificate(bundle.serving.certificate)


def accepted(bundle, trusted, now):
    """Whether an API server that trusts these authorities accepts the server's certificate at that time."""
    certificate = serving(bundle)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        return False
    for authority in x509.load_pem_x509_certificates(trusted) if trusted else ():
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, InvalidSignature):
            continue
        return authority.not_valid_before_utc <= now < authority.not_valid_after_utc
    return False


def test_the_first_certificates_serve_every_name(bundle):
    names = serving(bundle).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAMES[0]]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [NAMES[1]]
    assert accepted(bundle, bundle.trusted(NOW), NOW)
    assert renewed(bundle, NAMES, NOW, True) is None


def test_a_secret_gives_back_what_was_put_in(bundle):
    assert Bundle.of(bundle.data()) == bundle


def broken(data):
    other = new_authority(NOW)
    yield {}
    yield {**data, "ca.key": ""}
    yield {**data, "ca.crt": base64.b64encode(b"x").decode()}
    yield {**data, "tls.key": base64.b64encode(other.key).decode()}
    yield {**data, "ca.key": base64.b64encode(other.key).decode()}
    yield {**data, "tls.crt": "***"}
    yield {**data, "tls.crt": None}


def test_a_secret_that_cannot_be_used_is_none_and_made_anew(bundle):
    for data in broken(bundle.data()):
        assert Bundle.of(data) is None
    assert ssl.PEM_cert_to_DER_cert(renewed(None, NAMES, NOW).serving.certificate.decode())


def test_a_serving_certificate_is_renewed_in_time_under_the_same_authority(bundle):
    later = NOW + 250 * DAY
    new = renewed(bundle, NAMES, later, True)
    assert new.authorities == bundle.authorities
    assert serving(new).not_valid_after_utc > serving(bundle).not_valid_after_utc


def test_a_new_name_is_served_as_soon_as_the_api_server_trusts_the_authority(bundle):
    assert renewed(bundle, (*NAMES, "other"), NOW, False) is None
    assert renewed(bundle, (*NAMES, "other"), NOW, True).serving != bundle.serving


def test_a_new_authority_signs_only_once_it_is_trusted(bundle):
    later = NOW + 3400 * DAY
    fresh = Bundle(
        bundle.authorities,
        bundle.authority_key,
        new_serving(Pair(bundle.authorities[0], bundle.authority_key), NAMES, later),
    )
    beside = renewed(fresh, NAMES, later, True)
    assert beside.authorities[1:] == bundle.authorities
    assert beside.serving == fresh.serving
    assert renewed(beside, NAMES, later, False) is None
    after = renewed(beside, NAMES, later, True)
    assert accepted(after, beside.trusted(later), later)
    assert not accepted(after, bundle.trusted(later), later)
    assert renewed(after, NAMES, later, True) is None


def test_an_authority_leaves_when_it_has_expired(bundle):
    beside = renewed(bundle, NAMES, NOW + 3400 * DAY, True)
    assert len(beside.authorities) == 2
    assert beside.trusted(NOW + 3700 * DAY) == beside.authorities[0]


def test_a_certificate_that_is_refused_anyway_is_replaced_at_once(bundle):
    stranger = new_serving(new_authority(NOW), NAMES, NOW)
    wrong = Bundle(bundle.authorities, bundle.authority_key, stranger)
    assert renewed(wrong, NAMES, NOW, False).serving != stranger
    assert renewed(bundle, NAMES, NOW + 366 * DAY, False).serving != bundle.serving


def test_what_katibs_generator_left_is_taken_over():
    """An RSA authority without an identifier of its key, and one name in the certificate."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "katib-ca")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + 3650 * DAY).serial_number(1)
    certificate = builder.add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    authority = Pair(certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(*form))
    theirs = Bundle((authority.certificate,), authority.key, new_serving(authority, NAMES[:1], NOW))
    held = Bundle.of(theirs.data())
    assert held == theirs
    assert renewed(held, NAMES, NOW, False) is None
    taken = renewed(held, NAMES, NOW, True)
    assert taken.authorities == theirs.authorities
    assert accepted(taken, taken.trusted(NOW), NOW)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=30, max_size=60))
def test_however_late_each_step_comes_no_server_is_ever_refused(steps):
    """A replica serves what it saw last, which may be weeks ago; the API server trusts what it was told last."""
    terms = Terms(200 * DAY, 80 * DAY, 60 * DAY, 50 * DAY)
    now = looked = NOW
    bundle = served = renewed(None, NAMES, NOW, False, terms)
    told = bundle.trusted(now)
    for days, looks in steps:
        now += days * DAY
        known = told == bundle.trusted(now)
        told = bundle.trusted(now)
        assert accepted(served, told, now)
        assert accepted(bundle, told, now)
        bundle = renewed(bundle, NAMES, now, known, terms) or bundle
        assert accepted(bundle, told, now)
        if looks or now - looked > 20 * DAY:
            served, looked = bundle, now
