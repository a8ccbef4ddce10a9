"""The command ``mage``."""

from __future__ import annotations

import errno
import subprocess
import sys
import textwrap
from enum import StrEnum
from importlib import metadata

import pytest
import typer

from mage.scenes import cli
from mage.scenes.errors import CityError


class Point:
    """An entry point that hands out ``register``, or raises it."""

    def __init__(self, name, register):
        self.name, self.value, self._register = name, f"some.{name}:register", register

    def load(self):
        if isinstance(self._register, Exception):
            raise self._register
        return self._register


class Colour(StrEnum):
    """What an option may be."""

    RED = "red"
    GREEN = "green"


def commands(*names, run=lambda: None):
    def register(app):
        for name in names:
            app.command(name)(run)

    return register


def names_of(app):
    return [c.name or c.callback.__name__ for c in app.registered_commands]


@pytest.fixture
def mage(monkeypatch, capsys):
    """Runs ``mage fail``, which raises what it is given, and returns exit code, standard output and error."""

    def run(error=None, *, args=("fail",)):
        def fail(recipe: str = ""):
            """Do not work."""
            typer.echo("begun")
            if error is not None:
                raise error

        app, complaints = cli.assemble([Point("some", commands("fail", "other", run=fail))])
        monkeypatch.setattr(cli, "app", app)
        monkeypatch.setattr(cli, "COMPLAINTS", complaints)
        with pytest.raises(SystemExit) as caught:
            cli.main(list(args))
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


def python(code):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )


def test_help_is_fast_for_it_imports_neither_blender_nor_torch_nor_geometry():
    done = python("""
        import sys
        from mage.scenes import cli
        try:
            cli.main(["--help"])
        except SystemExit as end:
            assert end.code == 0
        heavy = {"bpy", "torch", "scipy", "shapely", "rasterio", "pyproj", "cv2", "pyarrow"} & set(sys.modules)
        assert not heavy, heavy
    """)
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout


def test_version_is_that_of_the_distribution(mage):
    assert mage(args=["--version"])[:2] == (0, f"mage {metadata.version('mage-eo')}\n")


def test_a_command_that_works_exits_with_0(mage):
    assert mage() == (0, "begun\n", "")


def test_mage_alone_shows_what_it_can_do(mage):
    _, out, err = mage(args=[])
    assert "Usage: mage" in out + err
    assert "doctor" in out + err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CityError("not a city", file="a.gml", found="a poem"), 2, "error: a.gml: not a city; found a poem\n"),
        (CityError("two\nlines"), 2, "error: two lines\n"),
        (OSError(errno.ENOSPC, "No space left", "out/x.tar"), 2, "error: out/x.tar: no space left on the device\n"),
        (PermissionError(errno.EACCES, "no", "/etc/x"), 2, "error: /etc/x: permission denied\n"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), 2, "error: x: No such file or directory\n"),
        (MemoryError(), 2, "error: out of memory: try a smaller --size or fewer --workers\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (typer.Exit(3), 3, ""),
        (typer.Abort(), 130, "interrupted\n"),
        (SystemExit(4), 4, ""),
    ],
)
def test_a_failure_is_one_sentence_and_an_exit_code(mage, error, code, line):
    assert mage(error) == (code, "begun\n", line)


def test_a_value_that_an_option_does_not_take_is_told_without_a_prefix_of_the_library_that_checks_it(
    monkeypatch, capsys
):
    def paint(colour: Colour):
        """In one colour."""

    monkeypatch.setattr(cli, "app", typer.Typer())
    cli.app.command()(paint)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["blue"])
    assert stopped.value.code == 2
    assert "'blue' is not one of 'red', 'green'" in (told := capsys.readouterr().err)
    assert "Value error" not in told


def test_a_missing_module_of_an_extra_is_answered_with_the_command_that_installs_it(mage):
    code, _, err = mage(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert (code, err) == (2, "error: this needs the Python module 'torch': pip install 'mage-eo[learning]'\n")


def test_a_fault_of_ours_is_one_line_too_and_says_so(mage):
    code, _, err = mage(ZeroDivisionError("division by zero"))
    assert code == 1
    assert err.startswith("error: a fault in MAGE: ZeroDivisionError: division by zero; ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("args", [("--debug", "fail"), ("fail", "--debug")])
def test_debug_shows_where_it_failed(mage, args):
    with pytest.raises(CityError, match="not a city"):
        mage(CityError("not a city"), args=args)


def test_debug_can_be_set_by_the_environment(mage, monkeypatch):
    monkeypatch.setenv("MAGE_DEBUG", "0")
    assert mage(CityError("no"))[0] == 2
    monkeypatch.setenv("MAGE_DEBUG", "1")
    with pytest.raises(CityError):
        mage(CityError("no"))


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nonsense"], "No such command"),
        (["fail", "--nonsense"], "No such option"),
        (["fail", "extra"], "unexpected extra argument"),
        (["--debug", "nonsense"], "No such command"),
    ],
)
def test_a_slip_on_the_line_is_answered_with_usage(mage, args, words):
    code, out, err = mage(args=args)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("lines", "read"), [(200000, 1), (1, 0)])
def test_a_reader_that_has_left_is_no_error(lines, read):
    """What ``mage ... | head -1`` and ``mage ... | true`` do."""
    code = f"""
        import sys
        import typer
        from mage.scenes import cli
        class Point:
            name = value = "x"
            def load(self):
                def many():
                    sys.stdin.readline()
                    for i in range({lines}):
                        print(i)
                return lambda app: app.command()(many)
        cli.app, cli.COMPLAINTS = cli.assemble([Point()])
        cli.main(["many"])
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        if read:
            process.stdin.write("go\n")
            process.stdin.flush()
            assert process.stdout.readline() == "0\n"
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_commands_stand_in_the_order_in_which_a_newcomer_meets_them():
    one, other = commands("train", "zoo", "evaluate"), commands("verify", "preview", "generate", "info")
    app, _ = cli.assemble([Point("b", one), Point("a", other)])
    assert names_of(app) == ["generate", "preview", "info", "verify", "train", "evaluate", "doctor", "zoo"]


def test_a_part_whose_extra_is_missing_is_left_out_and_the_others_stay():
    absent = ModuleNotFoundError("No module named 'torch'", name="torch")
    app, complaints = cli.assemble([Point("learning", absent), Point("ok", commands("info"))])
    assert names_of(app) == ["info", "doctor"]
    assert complaints == []


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'mage.lost'", name="mage.lost"),
        AttributeError("no register"),
        SyntaxError("invalid syntax"),
    ],
)
def test_a_broken_entry_point_is_named_and_the_others_stay(error):
    app, complaints = cli.assemble([Point("broken", error), Point("ok", commands("info"))])
    assert names_of(app) == ["info", "doctor"]
    assert len(complaints) == 1
    assert "'broken' (some.broken:register)" in complaints[0]
    assert str(error) in complaints[0]


def test_a_broken_entry_point_is_told_on_standard_error(mage, monkeypatch, capsys):
    app, complaints = cli.assemble([Point("broken", AttributeError("no register")), Point("ok", commands("info"))])
    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(cli, "COMPLAINTS", complaints)
    with pytest.raises(SystemExit):
        cli.main(["info"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("warning: the commands of 'broken' ")


def test_every_command_has_one_line_of_help():
    for command in cli.app.registered_commands:
        assert (command.help or command.callback.__doc__ or "").strip(), command.callback


def test_every_entry_point_of_this_distribution_loads():
    assert cli.COMPLAINTS == []
    assert {"generate", "preview", "info", "verify", "browse", "train", "evaluate", "doctor"} <= set(names_of(cli.app))
