"""Signatures: what is signed, how it stands on the wire, and that nothing else passes for it."""

import base64
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as some

from tests.pages import PHONE, blocks
from tidemill.contract.request import Request, decode, encode
from tidemill.contract.signature import (
    KEY_BYTES,
    MAX_KEYS,
    SIGNATURE_CHARACTERS,
    Signer,
    SigningUnavailable,
    deregistration,
    is_signed_by,
    new_key,
    read_public_key,
    registration,
    signature_of,
    signature_text,
    signed_bytes,
    split,
    stream_name,
)
from tidemill.contract.validation import UnsendableRequest, to_payload

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
"""The private key of RFC 8032's first example."""

KEY = Ed25519PrivateKey.from_private_bytes(SEED)
SIGNER = Signer(KEY, stream="requests")
REQUEST = Request(id="1", cmd="wallet.pay", key="wallet/7", client="ada", writer="w", counter=5, at=0, data={"to": "b"})


def is_valid(signer: Signer, payload: bytes, stream: str = "requests") -> bool:
    """As whoever verifies does it."""
    parts = split(payload)
    if parts is None:
        return False
    request = decode(payload)
    assert request.key
    assert request.writer
    assert request.counter is not None
    message = signed_bytes(stream, request.key, request.writer, request.counter, parts[0])
    return is_signed_by(read_public_key(signer.public_key), message, parts[1])


# ---- what is signed


def test_the_signed_bytes_are_those_of_the_contract() -> None:
    """Written out once more, for whoever signs in another language."""
    body = b'{"v":1,"id":"1","cmd":"wallet.pay","key":"wallet/7","client":"ada","w":"w","n":5,"at":0,"data":{"to":"b"}}'
    assert to_payload(REQUEST) == body
    message = (
        b"tidemill request 1\n"
        b"\x00\x00\x00\x08requests"
        b"\x00\x00\x00\x08wallet/7"
        b"\x00\x00\x00\x01w"
        b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x05"
        b"\x00\x00\x00\x20" + sha256(body).digest()
    )
    assert signed_bytes("requests", "wallet/7", "w", 5, body) == message
    signature = base64.urlsafe_b64encode(KEY.sign(message)).rstrip(b"=")
    assert to_payload(SIGNER.sign(REQUEST)) == body[:-1] + b',"sig":"' + signature + b'"}'
    assert SIGNER.public_key == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"  # as RFC 8037 has it


@pytest.mark.skipif(shutil.which("node") is None, reason="no node at hand")
def test_the_javascript_of_the_page_signs_what_the_sdk_signs() -> None:
    """A key has one signature for the same bytes, so both write the same request; none is ASCII."""
    _, _, signing = "".join(blocks("A device's signature", PHONE)).partition("const utf8")
    request = msgspec.structs.replace(REQUEST, key="wället/7", counter=2**52 + 300, data={"to": "é€"})
    code = f"""
    const outputs = {{StreamName: "strøm"}};
    const pkcs8 = Buffer.from("302e020100300506032b657004220420{SEED.hex()}", "hex");
    const device = {{privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"])}};
    const one = {{PartitionKey: "wället/7", Data: Buffer.from("{to_payload(request).hex()}", "hex")}};
    process.stdout.write((await signed(device, one)).Data);
    """
    command = ["node", "--no-warnings", "--input-type=module"]
    said = subprocess.run(command, input=f"const utf8{signing}{code}".encode(), capture_output=True, check=True).stdout
    assert said == to_payload(Signer(KEY, stream="strøm").sign(request))


texts = some.text(max_size=8)
counters = some.integers(0, 2**63 - 1)
signables = some.tuples(texts, texts, texts, counters, some.binary(max_size=8))


@given(signables, signables)
def test_no_two_requests_are_the_same_bytes(one: Any, other: Any) -> None:
    assert (signed_bytes(*one) == signed_bytes(*other)) == (one == other)


@given(texts, texts, texts, some.integers(0, 8))
def test_nor_when_a_field_ends_where_another_begins(stream: str, key: str, writer: str, moved: int) -> None:
    joined = key + writer
    one, other = (key, writer), (joined[:moved], joined[moved:])
    same = signed_bytes(stream, *one, 1, b"") == signed_bytes(stream, *other, 1, b"")
    assert same == (one == other)


# ---- on the wire


def test_an_unsigned_requests_bytes_have_no_trace_of_it() -> None:
    assert b"sig" not in encode(REQUEST)
    assert b"was" not in encode(REQUEST)


json = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**63), 2**64 - 1) | some.floats(allow_nan=False, width=64) | texts,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
).filter(lambda value: _is_sendable({"value": value}))


def _is_sendable(data: dict[str, Any]) -> bool:
    try:
        to_payload(msgspec.structs.replace(REQUEST, data=data))
    except UnsendableRequest:
        return False
    return True


@given(json)
def test_a_signed_request_splits_into_its_body_and_signature(value: Any) -> None:
    request = msgspec.structs.replace(REQUEST, data={"value": value})
    signed = SIGNER.sign(request)
    payload = to_payload(signed)
    parts = split(payload)
    assert parts
    assert parts[0] == to_payload(request)
    assert decode(payload) == signed
    assert is_valid(SIGNER, payload)
    assert len(payload) == len(parts[0]) + 95


def test_signing_again_gives_the_same_and_changes_nothing_of_the_request() -> None:
    signed = SIGNER.sign(REQUEST)
    assert SIGNER.sign(signed) == signed
    assert msgspec.structs.replace(signed, sig=None) == REQUEST
    assert REQUEST.sig is None


def test_the_body_may_be_anybodys_json() -> None:
    """Other languages write other bytes; what counts is that they signed those."""
    body = b'{ "cmd":"wallet.pay", "id":"1", "key":"wallet\\/7", "w":"w", "n":5, "data":{"to":1.50}, "client":"ada" }'
    body = body[:-2] + b"}"
    signature = base64.urlsafe_b64encode(KEY.sign(signed_bytes("requests", "wallet/7", "w", 5, body))).rstrip(b"=")
    assert is_valid(SIGNER, body[:-1] + b',"sig":"' + signature + b'"}')


@pytest.mark.parametrize("arn", ["arn:aws:kinesis:eu-west-1:111122223333:stream/requests", "requests"])
def test_the_streams_name_is_signed_not_its_arn(arn: str) -> None:
    assert stream_name(arn) == "requests"
    assert Signer(KEY, stream=arn).sign(REQUEST) == SIGNER.sign(REQUEST)


def test_a_name_that_is_no_arn_is_signed_as_it_is() -> None:
    assert stream_name("other/requests") == "other/requests"


@pytest.mark.parametrize("nothing", ["", "arn:aws:kinesis:eu-west-1:111122223333:stream/"])
def test_a_signer_needs_a_stream(nothing: str) -> None:
    with pytest.raises(ValueError, match="name or ARN"):
        Signer(KEY, stream=nothing)


@pytest.mark.parametrize("field", ["key", "client", "writer", "counter"])
def test_what_lacks_what_a_signature_is_of_is_not_signed(field: str) -> None:
    with pytest.raises(UnsendableRequest) as refused:
        SIGNER.sign(msgspec.structs.replace(REQUEST, **{field: None}))
    assert refused.value.field == {"counter": "writer"}.get(field, field)


def test_what_may_not_be_sent_is_not_signed_either() -> None:
    with pytest.raises(UnsendableRequest, match=r"data\.when: bytes is not JSON"):
        SIGNER.sign(msgspec.structs.replace(REQUEST, data={"when": b"now"}))


# ---- what is not valid


PAYLOAD = to_payload(SIGNER.sign(REQUEST))
OTHER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)), stream="requests")


def resigned(**changes: Any) -> bytes:
    """The request changed, its signature kept."""
    return to_payload(msgspec.structs.replace(SIGNER.sign(REQUEST), **changes))


@pytest.mark.parametrize(
    "payload",
    [
        to_payload(OTHER.sign(REQUEST)),
        to_payload(Signer(KEY, stream="other").sign(REQUEST)),
        resigned(key="wallet/8"),
        resigned(writer="v"),
        resigned(counter=6),
        resigned(id="2"),
        resigned(client="eve"),
        resigned(cmd="wallet.close"),
        resigned(at=1),
        resigned(at=None),
        resigned(data={"to": "e"}),
        resigned(data={}),
        PAYLOAD.replace(b'"data"', b'"more":0,"data"'),
        PAYLOAD.replace(b',"client"', b', "client"'),
    ],
)
def test_a_changed_request_or_another_key_is_not_valid(payload: bytes) -> None:
    assert is_valid(SIGNER, PAYLOAD)
    assert split(payload)
    assert not is_valid(SIGNER, payload)


def test_key_and_writer_cannot_be_swapped() -> None:
    """Even if body and lengths were the same, the places are not."""
    one, other = signed_bytes("s", "ab", "cd", 1, b""), signed_bytes("s", "cd", "ab", 1, b"")
    assert not is_signed_by(KEY.public_key(), other, KEY.sign(one))


@given(some.integers(0, len(PAYLOAD) - 1), some.integers(1, 255))
def test_no_changed_byte_is_valid(place: int, difference: int) -> None:
    changed = bytearray(PAYLOAD)
    changed[place] ^= difference
    parts = split(bytes(changed))
    message = parts and signed_bytes("requests", "wallet/7", "w", 5, parts[0])
    assert not parts or not message or not is_signed_by(KEY.public_key(), message, parts[1])


SIG = PAYLOAD[-88:-2]


@pytest.mark.parametrize(
    "sig",
    [
        b"",
        SIG[:-1],
        SIG + b"A",
        SIG[:43],
        b"=" * 86,
        SIG[:-1] + b"=",
        b"!" + SIG[1:],
        b" " + SIG[1:],
        b"\n" + SIG[1:],
        b"+" + SIG[1:],
        b"/" + SIG[1:],
        "é".encode() + SIG[2:],
        SIG[:-1] + (b"B" if SIG.endswith(b"A") else b"A" if SIG[-1:] not in b"AQgw" else b"h"),
    ],
)
def test_a_signature_has_one_way_to_be_written(sig: bytes) -> None:
    assert signature_of(SIG)
    assert signature_of(sig) is None
    assert split(PAYLOAD[:-88] + sig + b'"}') is None


@pytest.mark.parametrize(
    "written",
    [
        lambda body, sig: body[:-1] + b', "sig":"' + sig + b'"}',
        lambda body, sig: body[:-1] + b',"sig": "' + sig + b'"}',
        lambda body, sig: body[:-1] + b',"sig":"' + sig + b'" }',
        lambda body, sig: body[:-1] + b',"sig":"' + sig + b'"} ',
        lambda body, sig: body[:-1] + b',"sig":"' + sig + b'","more":1}',
        lambda body, sig: b'{"sig":"' + sig + b'",' + body[1:],
        lambda body, sig: body[:-1] + b',"\\u0073ig":"' + sig + b'"}',
    ],
)
def test_it_has_one_place(written: Callable[[bytes, bytes], bytes]) -> None:
    payload = written(to_payload(REQUEST), SIG)
    assert decode(payload).sig == SIG.decode()
    assert split(payload) is None


@given(some.binary(max_size=200))
def test_any_bytes_can_be_asked(payload: bytes) -> None:
    assert split(payload) is None


# ---- keys


def test_a_new_key_comes_back_from_its_file() -> None:
    pem = new_key()
    signer = Signer.from_pem(pem, stream="requests")
    assert is_valid(signer, to_payload(signer.sign(REQUEST)))
    assert signer.public_key != Signer.from_pem(new_key(), stream="requests").public_key


def test_a_key_may_have_a_password() -> None:
    pem = new_key(password=b"open sesame")
    assert Signer.from_pem(pem, stream="requests", password=b"open sesame").public_key
    for password in (b"closed", None):
        with pytest.raises(ValueError, match=r"(?i)password"):
            Signer.from_pem(pem, stream="requests", password=password)


def test_an_empty_password_leaves_no_key_in_the_clear() -> None:
    with pytest.raises(ValueError, match="1 or more bytes"):
        new_key(password=b"")


def test_a_file_without_such_a_key_is_refused() -> None:
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="no Ed25519 key"):
        Signer.from_pem(other, stream="requests")
    with pytest.raises(ValueError, match="PEM"):
        Signer.from_pem(b"-----BEGIN", stream="requests")


@pytest.mark.parametrize("text", ["", "A", "A" * 42, "A" * 44, "A" * 43 + "=", "!" * 43, "é" * 43])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no Ed25519 public key"):
        read_public_key(text)


def test_without_the_library_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from tidemill.contract import signature\n"
        "for need in (signature.new_key, lambda: signature.Signer.from_pem(b'', stream='s'),\n"
        "             lambda: signature.read_public_key('A' * 43)):\n"
        "    try: need()\n"
        "    except signature.SigningUnavailable as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{UNAVAILABLE}\n" * 3


UNAVAILABLE = "signatures need the library cryptography: pip install 'tidemill[signing]'"


@pytest.mark.parametrize("need", [new_key, lambda: Signer.from_pem(b"", stream="s"), lambda: read_public_key("A" * 43)])
def test_what_needs_the_library_names_it(need: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(SigningUnavailable) as missing:
        need()
    assert str(missing.value) == UNAVAILABLE


PUBLIC = SIGNER.public_key


def test_a_keys_registration_is_an_update_of_its_client() -> None:
    assert registration("phone-1", PUBLIC) == {
        "Key": {"pk": {"S": "phone-1"}},
        "UpdateExpression": "ADD public_keys :key",
        "ConditionExpression": (
            "attribute_not_exists(public_keys) OR size(public_keys) < :most OR contains(public_keys, :text)"
        ),
        "ExpressionAttributeValues": {":key": {"SS": [PUBLIC]}, ":text": {"S": PUBLIC}, ":most": {"N": "8"}},
    }
    assert deregistration("phone-1", PUBLIC) == {
        "Key": {"pk": {"S": "phone-1"}},
        "UpdateExpression": "DELETE public_keys :key",
        "ExpressionAttributeValues": {":key": {"SS": [PUBLIC]}},
    }


@pytest.mark.parametrize("change", [registration, deregistration])
def test_what_is_no_public_key_is_not_registered(change: Callable[[str, str], object]) -> None:
    with pytest.raises(ValueError, match=f"^'{'A' * 80}' is no Ed25519 public key: 43 characters of base64url$"):
        change("phone-1", "A" * 100)


def test_a_signature_is_read_from_text_and_from_bytes() -> None:
    signature = signature_of(SIG)
    assert signature == KEY.sign(signed_bytes("requests", "wallet/7", "w", 5, to_payload(REQUEST)))
    assert signature_of(SIG.decode()) == signature
    assert signature_text(signature) == SIG.decode()


def test_the_library_is_not_imported_before_it_is_needed() -> None:
    program = "import sys, tidemill.contract.signature; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_sizes_are_those_of_ed25519() -> None:
    assert (SIGNATURE_CHARACTERS, KEY_BYTES, MAX_KEYS) == (86, 32, 8)
