"""``mage doctor``: what is there and what is missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from mage.scenes import doctor
from mage.scenes.doctor import LibraryHint

LOST = LibraryHint("libnowhere.so.7", "libnowhere7", "json")
ALSO_LOST = LibraryHint("libnowhere-extra.so.7", "libnowhere7", "json")
NOT_NEEDED = LibraryHint("libnowhere.so.8", "libnowhere8", "a_module_that_nobody_has")


@pytest.fixture
def healthy(monkeypatch):
    """A machine that lacks nothing, and engines that answer at once."""
    monkeypatch.setattr(doctor, "SYSTEM_LIBRARIES", ())
    answer = {"version": "1", "devices": {"OPTIX": ["A", "B"]}, "auto": "OPTIX (A, B)"}
    monkeypatch.setattr(doctor, "_probe", lambda code: answer)


def run(capsys, **options):
    code = 0
    try:
        doctor.doctor(**{"as_json": False, "libraries": False} | options)
    except typer.Exit as end:
        code = end.exit_code
    return code, capsys.readouterr().out


def test_a_library_that_a_module_needs_and_the_system_lacks_is_found(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(doctor, "SYSTEM_LIBRARIES", (LOST, ALSO_LOST, NOT_NEEDED))
    assert doctor.missing_libraries() == [LOST, ALSO_LOST]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert doctor.missing_libraries() == []


def test_each_package_is_named_once_in_the_command_that_installs_it():
    assert doctor.install_command([LOST, ALSO_LOST]) == "apt-get install libnowhere7"


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries are Linux's")
def test_a_missing_library_fails_the_check_and_names_its_package(monkeypatch, healthy, capsys):
    monkeypatch.setattr(doctor, "SYSTEM_LIBRARIES", (LOST,))
    for options in ({"libraries": True}, {}):
        code, out = run(capsys, **options)
        assert code == 1
        assert "libnowhere.so.7" in out
        assert "apt-get install libnowhere7" in out


@pytest.mark.skipif(not (find_spec("bpy") and shutil.which("ldd")), reason="Blender or ldd is not installed")
def test_the_table_holds_every_library_that_blender_takes_from_the_system():
    """All that ldd finds outside the wheel, apart from glibc and what the listed packages depend on themselves."""
    folder = Path(find_spec("bpy").origin).parent
    done = subprocess.run(["ldd", str(next(folder.glob("__init__*.so")))], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    taken = {words[0] for words in lines if "=>" in words and str(folder) not in words[2]}
    glibc = {f"lib{n}" for n in ("c.so.6", "m.so.6", "dl.so.2", "rt.so.1", "util.so.1", "pthread.so.0")}
    behind_them = {f"lib{n}" for n in ("xcb.so.1", "Xau.so.6", "Xdmcp.so.6", "bsd.so.0", "md.so.0", "uuid.so.1")}
    behind_them |= {"libGLX.so.0", "libGLdispatch.so.0"}
    listed = {hint.library for hint in doctor.SYSTEM_LIBRARIES}
    assert taken - glibc - behind_them <= listed


def test_the_makefiles_check_needs_neither_blender_nor_torch():
    code = (
        "import sys, runpy; sys.argv = ['doctor', '--libraries']\n"
        "try:\n    runpy.run_module('mage.scenes.doctor', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not {'bpy', 'torch'} & set(sys.modules); sys.exit(end.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "system libraries" in done.stdout


def test_a_healthy_machine_passes_and_says_what_auto_takes(healthy, capsys):
    code, out = run(capsys)
    assert code == 0
    assert "OPTIX (A, B); `auto` takes OPTIX (A, B)" in out
    assert "problem" not in out


def test_the_same_findings_come_as_json(healthy, capsys):
    code, out = run(capsys, as_json=True)
    findings = json.loads(out)
    assert code == 0
    assert findings["problems"] == findings["missing_libraries"] == []
    assert set(findings["extras"]) == {
        name for name in metadata.metadata("mage-eo").get_all("Provides-Extra") if name not in ("all", "dev")
    }
    assert {"mage", "python", "numpy", "platform", "cpus", "memory_gib", "blender", "torch"} <= set(findings)


def test_an_engine_that_cannot_be_imported_is_a_problem(healthy, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_probe", lambda code: {"error": "ImportError: libXi.so.6"})
    monkeypatch.setattr(doctor, "find_spec", lambda name: True)
    code, out = run(capsys)
    assert code == 1
    assert "problem       Blender cannot be used: ImportError: libXi.so.6" in out


def test_an_extra_that_nobody_installed_is_no_problem_and_comes_with_its_command(healthy, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    code, out = run(capsys)
    assert code == 0
    assert "not installed: pip install 'mage-eo[generator]'" in out
    assert "blender       not installed" in out


def test_an_extra_of_which_a_part_is_gone_is_a_problem(healthy, monkeypatch, capsys):
    def without_safetensors(name):
        if name == "safetensors":
            raise doctor.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(doctor, "version", without_safetensors)
    monkeypatch.setattr(doctor, "find_spec", lambda name: True)
    code, out = run(capsys)
    assert code == 1
    assert "learning lacks safetensors: pip install 'mage-eo[learning]'" in out


MODULES = {
    "torch": "learning",
    "bpy.types": "generator",
    "mapbox_earcut": "cities",
    "lxml": "cities",
    "pystac": "release",
    "compas_cgal": "roofs",
    "tensorboard": "tensorboard",
    "numpy": None,
}


@pytest.mark.parametrize(("module", "extra"), MODULES.items())
def test_a_module_is_traced_to_the_extra_that_installs_it(module, extra):
    assert doctor.extra_of(module) == extra


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("print('noise'); print('{\"version\": \"4\"}')", {"version": "4"}),
        (
            "import absent_module",
            {"error": "ModuleNotFoundError: No module named 'absent_module'"},
        ),
        ("import os; os._exit(3)", {"error": "it ended with exit code 3"}),
    ],
)
def test_a_probe_survives_whatever_happens_in_it(code, found):
    assert doctor._probe(code) == found


def test_a_probe_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(doctor, "PROBE_SECONDS", 1)
    assert doctor._probe("import time; time.sleep(60)") == {"error": "no answer within 1 s"}


@pytest.mark.skipif(find_spec("bpy") is None, reason="Blender is not installed")
def test_blender_answers_with_its_version_and_the_device_that_it_would_take():
    found = doctor._probe(doctor.BLENDER_PROBE)
    assert found["version"].startswith("4.5")
    assert found["auto"] == "CPU" or found["devices"]
