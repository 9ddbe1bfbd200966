"""TLS in front of the local platform, for clients that speak nothing else: a relay that knows no HTTP."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

HERE = "127.0.0.1"


@dataclass(frozen=True)
class Secured:
    """A front.

    Attributes:
        port: of this machine, where it listens.
        authority: the file of its certificate, which is its own authority.
        public_key: of that certificate, in DER.
    """

    port: int
    authority: Path
    public_key: bytes


@contextmanager
def secured(port: int, folder: Path, names: Sequence[str] = ()) -> Iterator[Secured]:
    """A front of that port, as long as the block; its certificate is for 127.0.0.1 and the names."""
    authority, private = folder / "authority.pem", folder / "private.pem"
    public_key = certify(authority, private, names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    started: list[int] = []
    ready, over, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        server = await asyncio.start_server(lambda *near: relay(port, *near), HERE, 0, ssl=context)
        started.append(server.sockets[0].getsockname()[1])
        ready.set()
        await over.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    ready.wait(10)
    try:
        yield Secured(started[0], authority, public_key)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.run_until_complete(asyncio.sleep(0.1))  # what was cancelled hangs up
        loop.close()


async def relay(port: int, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    """Hand on what comes from either side until both have ended."""
    far, forth = await asyncio.open_connection(HERE, port)
    with suppress(OSError):
        await asyncio.gather(pump(near, forth), pump(far, back))


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Hand on what comes until it ends, and end the other side then."""
    try:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()


def certify(authority: Path, private: Path, names: Sequence[str]) -> bytes:
    """Write a certificate for this machine that signs itself, and its key; the public key in DER."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HERE)])
    now = datetime.now(UTC)
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HERE)), *map(x509.DNSName, names)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
