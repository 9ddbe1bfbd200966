"""Checks who sent a request: by its client's signature, or by the application's own seal.

Room: core. Pure; adapters/devices.py reads the registered keys.

A client's device signs with its key. The application seals the requests that it puts on the stream itself: follow-up
requests, those of its functions on events, and redriven ones. A seal is a `sig` too, over the same bytes, but made with
a secret that the application and its operators share (HMAC, RFC 2104). Once there is a secret, the writers `emit/…`,
`event/…` and `redrive/…` need its seal. The analytics stage seals nothing: it alone may put to a stream of its own.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256, sha512
from typing import TYPE_CHECKING

import msgspec

from tidemill.contract.request import EVENT, REDRIVE, STAGE, OriginalSignature, RefusedRequest, Request, encode
from tidemill.contract.signature import is_signed_by, signature_of, signature_text, signed_bytes, split
from tidemill_consumers.core.batch import Arrival, Proof, with_request
from tidemill_consumers.core.emits import EMITTERS, is_of_proven, without_proof

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MADE = (*EMITTERS, EVENT)
"""Prefixes of the writers of requests that the application made."""

OWN = (*MADE, REDRIVE)
"""Prefixes of the writers of requests that the application puts on the stream."""

LEAST_SECRET = 43
"""Characters of a secret, at least: as many as base64url of 32 random bytes has."""

LONGEST_WRITER = 128
"""Characters of a writer on the wire, at most."""

VERIFIED = "verified/"
"""Prefix of the writer that a verified client's request gets; a hash of client and writer follows. It is longer than
any writer on the wire, so nobody else can use up the counters of a client's writers."""

MALFORMED = "signed, but not as the contract says: sig comes last and has 86 characters of base64url"
INCOMPLETE = "signed, but a signature without client, writer and counter proves nothing"
NO_SECRET = "sealed, but the application has no secret to know its seal by"  # noqa: S105 - it is none
NOT_OF_STAGE = "its writer is the analytics stage's, but it did not come by the stage's stream"
NOT_SEALED = "its writer is the application's own, but it does not bear the application's seal"


class Seals:
    """The application's secrets: the first makes seals; seals of any are accepted.

    Args:
        stream: the stream's name.
        secrets: each of at least 43 characters.

    Raises:
        ValueError: there is no secret, or one is too short.
    """

    def __init__(self, stream: str, secrets: Iterable[str]) -> None:
        self._stream = stream
        self._secrets = [secret.encode() for secret in secrets]
        if not self._secrets or min(map(len, self._secrets)) < LEAST_SECRET:
            raise ValueError(f"the application's secret has {LEAST_SECRET} characters or more, or several with commas")

    @classmethod
    def read(cls, stream: str, setting: str) -> Seals | None:
        """The seals of a setting: secrets with commas between; None if it is empty."""
        return cls(stream, setting.split(",")) if setting else None

    def is_of(self, stream: str) -> bool:
        """Whether the name is that of the application's own stream, or empty, which means it too."""
        return stream in ("", self._stream)

    def seal(self, request: Request) -> Request:
        """The request with the application's seal. It must have a key, a writer and a counter."""
        bare = msgspec.structs.replace(request, sig=None)
        return msgspec.structs.replace(bare, sig=signature_text(_seal(self._secrets[0], self._message(bare))))

    def hold(self, request: Request, stream: str = "") -> bool:
        """Whether the request's `sig` is the application's seal for that stream; by default for its own."""
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
        message: the signed bytes.
        signature: 64 bytes.
        arrival: the request's arrival.
        proven: the arrival to go on with, once the claim is proven.
    """

    client: str
    message: bytes
    signature: bytes
    arrival: Arrival
    proven: Arrival


def is_marked(request: Request) -> bool:
    """Whether an application with a secret must examine the request; one without examines only those with a `sig`."""
    return request.sig is not None or is_own(request)


def is_own(request: Request) -> bool:
    """Whether the request's writer is one of the application's own."""
    return request.writer is not None and request.writer.startswith(OWN)


def is_staged(request: Request) -> bool:
    """Whether the request is, by its writer, one of the analytics stage."""
    return request.writer is not None and request.writer.startswith(STAGE)


def of_stage(arrival: Arrival, is_its_stream: bool) -> Arrival:
    """The arrival of a request whose writer is the analytics stage's, with its proof.

    Args:
        arrival: the arrival.
        is_its_stream: whether it came by the stream that the stage alone may put to.
    """
    if not is_its_stream:
        return unproven(arrival, NOT_OF_STAGE)
    return msgspec.structs.replace(arrival, proof=Proof(is_own=True, is_staged=True))


def is_made(request: Request) -> bool:
    """Whether the request is, by its writer, one that the application made: no client sent it, or sent it first."""
    return request.writer is not None and request.writer.startswith(MADE)


def is_of_verified(writer: str) -> bool:
    """Whether the writer is the one that a verified client's request gets."""
    return len(writer) > LONGEST_WRITER


def examine(arrival: Arrival, stream: str, seals: Seals | None) -> Arrival | Claim:
    """The arrival of a marked request with its proof, or the claim that its client's keys must prove."""
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
    """Whether one of the keys proves the claim. Trying one takes 0.1 ms."""
    return any(is_signed_by(key, claim.message, claim.signature) for key in keys)


def disproven(claim: Claim, keys: Collection[Ed25519PublicKey], overfull: bool) -> Arrival:
    """The arrival, to be quarantined, of a claim that none of its client's registered keys proves.

    Args:
        claim: the claim.
        keys: the client's keys.
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
    """The original signature that a redriven request carries, so that it proves the same as before; None if unsigned.

    Args:
        request: the quarantined request.
        payload: its bytes.
        seals: the application's seals.
        stream: the name of the stream that it came by; empty if unknown, which means the application's own.

    Raises:
        RefusedRequest: it would not prove anything any more. Says why.
    """
    if request.sig is None:
        return None
    if seals is None:
        raise RefusedRequest("signed: give the application's secret, for only with its seal a signature holds again")
    if is_own(request):
        if not seals.hold(request, stream):
            raise RefusedRequest("its seal is made up, or made with a secret that is not given")
        return _as_was(request) if is_made(request) else request.was
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
    """The proof, or claim, of a request whose seal holds."""
    request = arrival.request
    if request.was is None:
        # A redriven request that was unsigned stays unsigned.
        return _proven(arrival, _word_of(request)) if is_made(request) else _bare(arrival)
    was = _as_it_was(request, request.was)
    # The writer is derived from the original's, so that of two quarantined copies only one is applied.
    writer = REDRIVE + _hash(sha256, was.client, was.writer, was.counter)
    if is_made(was):
        return _proven(arrival, _word_of(was), writer) if seals.hold(was) else unproven(arrival, NOT_SEALED)
    signature = signature_of(request.was.sig)
    if signature is None:
        return unproven(arrival, MALFORMED)
    body = encode(msgspec.structs.replace(was, sig=None))
    signed_for = request.was.stream or stream
    return _claim(arrival, was, signed_body=body, signature=signature, stream=signed_for, writer=writer)


def _word_of(made: Request) -> Proof:
    """The proof by the seal of a request that the application made: of a client only if the cause has proven it."""
    return Proof(client=made.client if is_of_proven(made) else None, is_own=True)


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
    # As JSON, so that different lists of parts never give the same bytes.
    return algorithm(msgspec.json.encode(parts)).hexdigest()


def _seal(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, "sha512")
