"""Signatures: a request proves which client sent it, and that it was meant for this stream, key, writer and counter.

Room: contract. No I/O: bytes in, values out. Ed25519 (RFC 8032) is the library cryptography's, imported when it is
first needed.

Signed are these bytes, so that a signature holds for one request on one stream only:

    "tidemill request 1\\n"   stream   key   writer   counter   SHA-256 of the body

Before each but the first stands its length, as 4 bytes. Text is UTF-8, the counter 8 bytes; both numbers big-endian.
The body is the request's JSON as it is sent, without `sig`. That is the last member, written without spaces, so that
nobody need parse and write JSON again to know what was signed: the payload is all of the body but its last brace, and
then `,"sig":"`, 86 characters of base64url (RFC 4648, section 5, no padding) and `"}`.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.contract.validation import UnsendableRequest, to_payload

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Self

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from tidemill.contract.request import Request

VERSION = b"tidemill request 1\n"
"""What the signed bytes begin with, so that they are nothing else's."""

SIGNATURE_CHARACTERS = 86
"""Of base64url: an Ed25519 signature has 64 bytes."""

KEY_BYTES = 32
"""Of a public key; 43 characters of base64url."""

MAX_KEYS = 8
"""Keys of one client that count: each that is tried takes 0.1 ms of everybody's batch."""

_BEFORE, _AFTER = b',"sig":"', b'"}'
_TAIL = len(_BEFORE) + SIGNATURE_CHARACTERS + len(_AFTER)


class SigningUnavailable(ImportError):
    """The library cryptography is not installed."""

    def __init__(self) -> None:
        super().__init__("signatures need the library cryptography: pip install 'tidemill[signing]'")


class Signer:
    """Signs requests to one stream with a client's key. Safe for threads.

        signer = Signer.from_pem(Path("device.pem").read_bytes(), stream="requests")
        print(signer.public_key)  # what is registered for the client

    Args:
        key: the client's, an Ed25519 private key of the library cryptography.
        stream: the stream's name or ARN. What is signed is the name.
    """

    def __init__(self, key: Ed25519PrivateKey, *, stream: str) -> None:
        self._key = key
        self._stream = stream_name(stream)

    @classmethod
    def from_pem(cls, pem: bytes, *, stream: str, password: bytes | None = None) -> Self:
        """A signer with the key of a PEM file's bytes, such as those of `new_key`.

        Raises:
            ValueError: it holds no Ed25519 private key, or the password is not its.
            SigningUnavailable: cryptography is not installed.
        """
        ed25519 = _ed25519()
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(pem, password)
        except TypeError as error:  # a password is missing, or one too many
            raise ValueError(str(error)) from None
        except ValueError as error:
            if password is None:
                raise
            # A wrong password decrypts to bytes that once in 250 times look sound until they are read.
            raise ValueError(f"the password is wrong, or the file is damaged: {error}") from None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise ValueError(f"the key is no Ed25519 key but a {type(key).__name__}")
        return cls(key, stream=stream)

    @property
    def public_key(self) -> str:
        """The public half, as it is registered: 43 characters of base64url, as a JWK's `x` (RFC 8037)."""
        return _to_text(self._key.public_key().public_bytes_raw())

    def sign(self, request: Request) -> Request:
        """The request with its signature.

        Raises:
            UnsendableRequest: the contract does not allow it, or it lacks what a signature is of: a client, a writer
                and a counter. Names the field.
        """
        bare = msgspec.structs.replace(request, sig=None)
        body = to_payload(bare)
        if bare.client is None:
            raise UnsendableRequest("client", "name the client whose key signs")
        if bare.key is None or bare.writer is None or bare.counter is None:
            raise UnsendableRequest("writer", "a signed request has a writer and a counter, else it could be repeated")
        signature = self._key.sign(signed_bytes(self._stream, bare.key, bare.writer, bare.counter, body))
        return msgspec.structs.replace(bare, sig=signature_text(signature))


def new_key(password: bytes | None = None) -> bytes:
    """A new private key as a PEM file's bytes (PKCS #8), encrypted if there is a password. Keep it from others.

    Raises:
        ValueError: the password is empty.
        SigningUnavailable: cryptography is not installed.
    """
    ed25519 = _ed25519()
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    pem: bytes = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return pem


def stream_name(stream: str) -> str:
    """The name in a stream's name or ARN.

    Raises:
        ValueError: there is none.
    """
    name = stream.rpartition("/")[2] if stream.startswith("arn:") else stream
    if not name:
        raise ValueError(f"stream={stream!r}: use the stream's name or ARN")
    return name


def signed_bytes(stream: str, key: str, writer: str, counter: int, body: bytes) -> bytes:
    """The bytes that a request's signature covers."""
    parts = (stream.encode(), key.encode(), writer.encode(), counter.to_bytes(8, "big"), sha256(body).digest())
    return VERSION + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def split(payload: bytes) -> tuple[bytes, bytes] | None:
    """The body and the signature, 64 bytes, of a request's bytes; None where `sig` is not as it must be."""
    tail = payload[-_TAIL:]
    if not tail.startswith(_BEFORE) or not tail.endswith(_AFTER):
        return None
    signature = signature_of(tail[len(_BEFORE) : -len(_AFTER)])
    return None if signature is None else (payload[:-_TAIL] + b"}", signature)


def signature_of(sig: str | bytes) -> bytes | None:
    """The signature, 64 bytes, in its 86 characters; None where it is not written as it must be."""
    text = sig.encode() if isinstance(sig, str) else sig
    if len(text) != SIGNATURE_CHARACTERS:
        return None
    return _from_text(text)


def signature_text(signature: bytes) -> str:
    """The signature, 64 bytes, as it is written."""
    return _to_text(signature)


def read_public_key(text: str) -> Ed25519PublicKey:
    """A public key as it is registered.

    Raises:
        ValueError: it is none.
        SigningUnavailable: cryptography is not installed.
    """
    key: Ed25519PublicKey = _ed25519().Ed25519PublicKey.from_public_bytes(_read_key(text))
    return key


def registration(client: str, public_key: str) -> dict[str, Any]:
    """UpdateItem's parameters, less the table's name, that register the key for the client.

        dynamodb.update_item(TableName=devices, **registration("phone-1", signer.public_key))

    DynamoDB refuses it (ConditionalCheckFailedException) while the client has 8 other keys: deregister one of them.

    Raises:
        ValueError: it is no public key.
    """
    change = _change("ADD", client, public_key)
    has_room = "attribute_not_exists(public_keys) OR size(public_keys) < :most"
    change["ConditionExpression"] = f"{has_room} OR contains(public_keys, :text)"
    change["ExpressionAttributeValues"] |= {":text": {"S": public_key}, ":most": {"N": str(MAX_KEYS)}}
    return change


def deregistration(client: str, public_key: str) -> dict[str, Any]:
    """UpdateItem's parameters that end the key's registration; consumers notice within a minute.

    Raises:
        ValueError: it is no public key.
    """
    return _change("DELETE", client, public_key)


def is_signed_by(key: Ed25519PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether the signature of the message is the key's."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _change(action: str, client: str, public_key: str) -> dict[str, Any]:
    _read_key(public_key)
    return {
        "Key": {"pk": {"S": client}},
        "UpdateExpression": f"{action} public_keys :key",
        "ExpressionAttributeValues": {":key": {"SS": [public_key]}},
    }


def _read_key(text: str) -> bytes:
    key = _from_text(text.encode())
    if key is None or len(key) != KEY_BYTES:
        raise ValueError(f"{text[:80]!r} is no Ed25519 public key: 43 characters of base64url")
    return key


def _to_text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _from_text(text: bytes) -> bytes | None:
    try:
        value = urlsafe_b64decode(text + b"==")  # more padding than it needs is overlooked
    except Error:
        return None
    # The decoder overlooks foreign characters and stray bits: one value must not have several texts.
    return value if urlsafe_b64encode(value).rstrip(b"=") == text else None


def _ed25519() -> ModuleType:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise SigningUnavailable from None
    return ed25519
