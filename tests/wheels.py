"""Wheels that are made by tests: an index of packages that needs no network."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

from tidemill_deploy.packaging.contents import is_needed


def wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes], tag: str = "py3-none-any") -> Path:
    """A wheel of some files; those of a *.dist-info are added to what it needs."""
    path = folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    needed = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    whole = {**needed, **files}
    record = "".join(f"{one},,\n" for one in [*whole, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for one, contents in {**whole, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(one, contents)
    return path


def repacked(folder: Path, name: str) -> Path:
    """The wheel of a package that is installed here."""
    found = distribution(name)
    info = f"{found.name.replace('-', '_')}-{found.version}.dist-info/"
    files = {
        info + one.name if one.parts[0].endswith(".dist-info") and len(one.parts) == 2 else one.as_posix(): Path(
            str(found.locate_file(one))
        ).read_bytes()
        for one in found.files or ()
        if is_needed(one.as_posix())
    }
    tags = Parser().parsestr(found.read_text("WHEEL") or "").get_all("Tag", [])
    tag = "-".join(".".join(sorted(set(part))) for part in zip(*(tag.split("-") for tag in tags), strict=True))
    return wheel(folder, found.name, found.version, files, tag)


def lock(file: Path, wheels: Iterable[Path]) -> Path:
    """A lock of the wheels, with their hashes."""
    lines = []
    for one in wheels:
        name, version = one.name.split("-")[:2]
        lines.append(f"{name}=={version} --hash=sha256:{hashlib.sha256(one.read_bytes()).hexdigest()}\n")
    file.write_text("".join(lines))
    return file
