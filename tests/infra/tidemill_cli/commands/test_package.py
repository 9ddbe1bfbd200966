"""`tidemill package` as a user runs it: what it prints and writes. What is in the zips is told elsewhere."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.infra.tidemill_cli.commands.conftest import SPANS
from tidemill_cli.main import main

NAMES = ("apply", "direct", "index", "media")


@pytest.mark.usefixtures("one_wheel")
@pytest.mark.parametrize(("given", "architecture"), [([], "arm64"), (["--architecture", "x86_64"], "x86_64")])
def test_it_says_for_each_function_where_its_zip_is_and_how_large(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], architecture: str
) -> None:
    assert main(["package", "--out", str(tmp_path / "out"), *given]) == 0
    said = capsys.readouterr().out.splitlines()
    for line, name in zip(said, NAMES, strict=False):
        assert f"{tmp_path}/out/{name}.zip" in line
        assert " MB, " in line
        assert " MB unpacked" in line
    assert said[-1].startswith(f"for Python 3.14 on {architecture}; ")
    assert said[-1].endswith(f"Rules=tidemill_consumers.media Architecture={architecture}")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{name}.zip" for name in NAMES}


@pytest.mark.usefixtures("one_wheel")
@pytest.mark.parametrize(("given", "have"), [([], set()), (["--traces"], {"apply", "direct"})])
def test_functions_that_make_spans_have_what_that_needs_if_it_is_asked_for(
    tmp_path: Path, given: list[str], have: set[str]
) -> None:
    assert main(["package", "--out", str(tmp_path / "out"), *given]) == 0
    assert {path.stem for path in (tmp_path / "out").iterdir() if SPANS in ZipFile(path).namelist()} == have


@pytest.mark.usefixtures("one_wheel")
def test_the_stages_zip_is_made_if_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ZipFile(tmp_path / "connector.jar", "w") as jar:
        jar.writestr("META-INF/services/org.apache.flink.table.factories.Factory", "tidemill.flink.Factory\n")
    given = ["--out", str(tmp_path / "out"), "--analytics", "--connector", str(tmp_path / "connector.jar")]
    assert main(["package", *given]) == 0
    line = capsys.readouterr().out.splitlines()[len(NAMES)]
    assert line.startswith(f"Analytics {tmp_path}/out/analytics.zip  0.")
    assert main(["package", *given[:-1], str(tmp_path / "gone.jar")]) == 1
    assert "`make connector` builds it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "status", "told"),
    [
        (["--rules", "nothing_of_that_name"], 1, "tidemill package: no module nothing_of_that_name"),
        (["--rules", "seats.py"], 1, "--rules seats"),
        (["--architecture", "mips"], 2, "invalid choice: 'mips'"),
    ],
)
def test_what_cannot_be_packaged_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], given: list[str], status: int, told: str
) -> None:
    try:
        code = main(["package", *given])
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == status
    assert told in capsys.readouterr().err
