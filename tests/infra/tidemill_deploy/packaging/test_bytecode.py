"""The bytecode of a package's modules, for the functions' Python."""

import marshal
import sys
from types import CodeType

import pytest

from tidemill_deploy.packaging.bytecode import compiled
from tidemill_deploy.packaging.errors import PackagingError

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
RULES = b"RULES = {}\ndef is_a(x): return x in {'a', 'b', 'c', 'd', 'e'}"
FILES = {"shop/rules.py": RULES, "data.json": b"{}", "broken.py": b"RULES = ("}


def test_each_module_has_bytecode_that_is_not_checked_against_its_time() -> None:
    found = compiled(FILES, HERE)
    name = f"shop/__pycache__/rules.{sys.implementation.cache_tag}.pyc"
    assert set(found) == {*FILES, name}
    assert int.from_bytes(found[name][4:8], "little") == 0b01, "https://peps.python.org/pep-0552/"
    code = marshal.loads(found[name][16:])  # made here
    assert isinstance(code, CodeType)
    assert code.co_filename == "/var/task/shop/rules.py"


def test_the_same_modules_have_the_same_bytecode() -> None:
    assert compiled(FILES, HERE) == compiled(FILES, HERE)


def test_a_python_that_is_not_here_is_named_with_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", "/nowhere")
    with pytest.raises(PackagingError, match=r"Python 3\.99 .* uv python install 3\.99, or go without --compile"):
        compiled(FILES, "3.99")
