"""Whose request it is: what a signature must be of, whose it must be, and the application's own seal.

Room: core. Pure; reading the registered keys is adapters/devices.py's.

A client's device signs with its key. The application seals what it puts on the stream itself: follow-up requests, and
redriven ones. A seal is a `sig` too, of the same bytes, but made with a secret that the application and its operators
share (HMAC, RFC 2104). Once there is such a secret, the writers `emit/…` and `redrive/…` are believed only with it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256, sha512
from typing import TYPE_CHECKING

import msgspec

from tidemill.contract.request import REDRIVE, OriginalSignature, RefusedRequest, Request, encode
from tidemill.contract.signature import is_signed_by, signature_of, signature_text, signed_bytes, split
from tidemill_consumers.core.batch import Arrival, Proof, with_request
from tidemill_consumers.core.emits import EMITTERS, is_emitted, is_of_proven, without_proof

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

OWN = (*EMITTERS, REDRIVE)
"""How the writers of what the application puts on the stream begin."""

LEAST_SECRET = 43
"""Characters of a secret: so many has base64url of 32 random bytes."""

LONGEST_WRITER = 128
"""Characters of a writer on the wire."""

VERIFIED = "verified/"
"""How the writer of a verified client's request begins from here on; a hash of both follows, which makes it longer
than any writer on the wire: so nobody else can use up the counters of a client's writers."""

MALFORMED = "signed, but not as the contract says: sig comes last and has 86 characters of base64url"
INCOMPLETE = "signed, but a signature without client, writer and counter proves nothing"
NO_SECRET = "sealed, but the application has no secret to know its seal by"  # noqa: S105 - it is none
NOT_SEALED = "its writer is the application's own, but it does not bear the application's seal"


class Seals:
    """The application's secrets: the first seals, each is believed.

    Args:
        stream: the stream's name.
        secrets: of 43 characters or more each.

    Raises:
        ValueError: there is none, or one is too short.
    """

    def __init__(self, stream: str, secrets: Iterable[str]) -> None:
        self._stream = stream
        self._secrets = [secret.encode() for secret in secrets]
        if not self._secrets or min(map(len, self._secrets)) < LEAST_SECRET:
            raise ValueError(f"the application's secret has {LEAST_SECRET} characters or more, or several with commas")

    @classmethod
    def read(cls, stream: str, setting: str) -> Seals | None:
        """Those in a setting: secrets with commas between; None where it is empty."""
        return cls(stream, setting.split(",")) if setting else None

    def is_of(self, stream: str) -> bool:
        """Whether that is the name of the application's own stream, which is meant by none too."""
        return stream in ("", self._stream)

    def seal(self, request: Request) -> Request:
        """The request with the application's seal. It has a key, a writer and a counter."""
        bare = msgspec.structs.replace(request, sig=None)
        return msgspec.structs.replace(bare, sig=signature_text(_seal(self._secrets[0], self._message(bare))))

    def hold(self, request: Request, stream: str = "") -> bool:
        """Whether its `sig` is the application's seal, on the stream of that name; without one, on its own."""
        if not self.is_of(stream):
            return False
        seal = None if request.sig is None else signature_of(request.sig)
        message = self._message(msgspec.structs.replace(request, sig=None))
        return seal is not None and any(hmac.compare_digest(seal, _seal(one, message)) for one in self._secrets)

    def _message(self, bare: Request) -> bytes:
        return signed_bytes(self._stream, bare.key or "", bare.writer or "", bare.counter or 0, encode(bare))


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature that the keys registered for a client can prove.

    Attributes:
        client: the client.
        message: what is signed.
        signature: 64 bytes.
        arrival: whose it is.
        proven: the same, once they have.
    """

    client: str
    message: bytes
    signature: bytes
    arrival: Arrival
    proven: Arrival


def is_marked(request: Request) -> bool:
    """Whether it claims anything that an application with a secret looks at; one without looks at `sig` only."""
    return request.sig is not None or is_own(request)


def is_own(request: Request) -> bool:
    """Whether its writer is the application's own."""
    return request.writer is not None and request.writer.startswith(OWN)


def is_of_verified(writer: str) -> bool:
    """Whether the writer, as it stands from here on, is a verified client's."""
    return len(writer) > LONGEST_WRITER


def examine(arrival: Arrival, stream: str, seals: Seals | None) -> Arrival | Claim:
    """The arrival of a marked request with what that proves, or what remains to be proven by its client's keys."""
    request = arrival.request
    if is_own(request):
        if seals is None:
            return unproven(arrival, NO_SECRET)
        return _examine_own(arrival, stream, seals) if seals.hold(request, stream) else unproven(arrival, NOT_SEALED)
    parts = split(arrival.payload)
    if parts is None or request.was is not None:
        return unproven(arrival, MALFORMED)
    body, signature = parts
    return _claim(arrival, request, signed_body=body, signature=signature, stream=stream, writer=_of_verified(request))


def is_proven(claim: Claim, keys: Iterable[Ed25519PublicKey]) -> bool:
    """Whether one of the keys proves the claim. Each that is tried takes 0.1 ms."""
    return any(is_signed_by(key, claim.message, claim.signature) for key in keys)


def disproven(claim: Claim, keys: Collection[Ed25519PublicKey], overfull: bool) -> Arrival:
    """The claim's arrival, which none of the keys registered for its client proves.

    Args:
        claim: the claim.
        keys: the client's.
        overfull: whether so much is registered for the client that none of it counts.
    """
    client = repr(claim.client[:80])
    if overfull:
        return unproven(claim.arrival, f"signed, but more is registered for {client} than keys of devices: none counts")
    found = "by none of the keys" if keys else "but no key is"
    return unproven(claim.arrival, f"signed, {found} registered for {client}")


def unproven(arrival: Arrival, problem: str) -> Arrival:
    """The arrival of a request that is to be quarantined."""
    return msgspec.structs.replace(arrival, proof=Proof(problem))


def what_it_was(request: Request, payload: bytes, seals: Seals | None, stream: str = "") -> OriginalSignature | None:
    """What a signed request takes along when it is redriven, so that it proves then what it proved before.

    Args:
        request: what was quarantined.
        payload: its bytes.
        seals: the application's own.
        stream: what the stream was called that it came by; empty where that is not known, and the own is meant.

    Raises:
        RefusedRequest: it would prove nothing any more. Says why.
    """
    if request.sig is None:
        return None
    if seals is None:
        raise RefusedRequest("signed: give the application's secret, for only with its seal a signature holds again")
    if is_own(request):
        if not seals.hold(request, stream):
            raise RefusedRequest("its seal is made up, or made with a secret that is not given")
        return _as_was(request) if is_emitted(request) else request.was
    if request.was is not None or encode(request) != payload:
        raise RefusedRequest("signed, but not written as the SDK writes it: its signature would not hold again")
    return _as_was(request, None if seals.is_of(stream) else stream)


def _as_was(request: Request, stream: str | None = None) -> OriginalSignature:
    if request.writer is None or request.counter is None or request.sig is None:
        raise RefusedRequest(INCOMPLETE)
    return OriginalSignature(request.writer, request.counter, request.sig, stream)


def _as_it_was(request: Request, was: OriginalSignature) -> Request:
    return msgspec.structs.replace(request, writer=was.writer, counter=was.counter, sig=was.sig, was=None)


def _examine_own(arrival: Arrival, stream: str, seals: Seals) -> Arrival | Claim:
    """Of a sealed request."""
    request = arrival.request
    if request.was is None:
        # One that was redriven unsigned is no more than it was.
        return _proven(arrival, _word_of(request)) if is_emitted(request) else _bare(arrival)
    was = _as_it_was(request, request.was)
    # Known by what it was: of two copies that were quarantined, one is applied.
    writer = REDRIVE + _hash(sha256, was.client, was.writer, was.counter)
    if is_emitted(was):
        return _proven(arrival, _word_of(was), writer) if seals.hold(was) else unproven(arrival, NOT_SEALED)
    signature = signature_of(request.was.sig)
    if signature is None:
        return unproven(arrival, MALFORMED)
    body = encode(msgspec.structs.replace(was, sig=None))
    signed_for = request.was.stream or stream
    return _claim(arrival, was, signed_body=body, signature=signature, stream=signed_for, writer=writer)


def _word_of(emitted: Request) -> Proof:
    """What the seal of an emitted request proves: a client only if its cause has proven that."""
    return Proof(client=emitted.client if is_of_proven(emitted) else None)


def _claim(
    arrival: Arrival, request: Request, *, signed_body: bytes, signature: bytes, stream: str, writer: str
) -> Arrival | Claim:
    if request.client is None or request.writer is None or request.counter is None:
        return unproven(arrival, INCOMPLETE)
    message = signed_bytes(stream, arrival.key, request.writer, request.counter, signed_body)
    return Claim(request.client, message, signature, arrival, _proven(arrival, Proof(client=request.client), writer))


def _proven(arrival: Arrival, proof: Proof, writer: str | None = None) -> Arrival:
    writer = writer or without_proof(arrival.request.writer or "")
    request = msgspec.structs.replace(arrival.request, writer=writer, was=None, sig=None)
    return msgspec.structs.replace(with_request(arrival, request), proof=proof)


def _bare(arrival: Arrival) -> Arrival:
    return with_request(arrival, msgspec.structs.replace(arrival.request, sig=None))


def _of_verified(request: Request) -> str:
    return VERIFIED + _hash(sha512, request.client, request.writer)


def _hash(algorithm: Callable[[bytes], Hash], *parts: str | int | None) -> str:
    # As JSON, so that no two lists of parts are the same bytes.
    return algorithm(msgspec.json.encode(parts)).hexdigest()


def _seal(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, "sha512")
