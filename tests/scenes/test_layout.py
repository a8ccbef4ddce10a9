"""The walls of the house: who may import whom, and what the base install must do without."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("assets", "generator", "learning", "scenes")
EXTRAS = ("bpy", "torch", "shapely", "scipy", "lxml", "pyproj", "rasterio", "mapbox_earcut", "embreex", "safetensors")
BASE_MODULES = (
    "mage.generator.commands",
    "mage.generator.export.folder",
    "mage.generator.export.huggingface",
    "mage.generator.export.run",
    "mage.scenes.cli",
    "mage.scenes.commands",
    "mage.scenes.dataset.index",
    "mage.scenes.dataset.fields",
    "mage.scenes.dataset.schema",
    "mage.scenes.dataset.store",
    "mage.scenes.dataset.tar",
    "mage.scenes.dataset.verify",
    "mage.scenes.doctor",
    "mage.scenes.errors",
    "mage.scenes.grades",
    "mage.scenes.grid",
    "mage.scenes.mesh",
    "mage.scenes.recipe",
    "mage.scenes.terrain",
    "mage.scenes.yamlio",
)
BLOCK = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if any(name == b or name.startswith(b + ".") for b in {blocked!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Wall())
"""


def sources(package):
    return sorted((ROOT / package).rglob("*.py"))


def imported(path):
    """Dotted names of all that a file imports, wherever in it, by statement or by ``import_module("...")``."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if function in ("import_module", "__import__"):
                names.add(str(node.args[0].value))
    return names


def offenders(files, *forbidden):
    return {
        str(path.relative_to(ROOT)): name
        for path in files
        for name in imported(path)
        if any(name == f or name.startswith(f"{f}.") for f in forbidden)
    }


def blocked(names, code):
    return subprocess.run(
        [sys.executable, "-c", BLOCK.format(blocked=tuple(names)) + code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_listed_packages_are_the_folders_with_an_init():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    on_disk = [
        ".".join(("mage", *init.parent.relative_to(ROOT).parts))
        for package in PACKAGES
        for init in (ROOT / package).rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(on_disk)


def test_every_folder_with_code_is_a_package():
    for package in PACKAGES:
        for path in sources(package):
            assert (path.parent / "__init__.py").exists(), path


def test_the_namespace_has_no_init_of_its_own():
    assert not (ROOT / "__init__.py").exists()


def test_every_data_file_of_a_package_is_taken_into_the_wheel():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        folder = ROOT / package
        taken = {path for pattern in data.get(f"mage.{package}", ()) for path in folder.glob(pattern)}
        there = {p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
        assert there <= taken, there - taken


def test_scenes_knows_neither_blender_nor_torch_nor_who_uses_it():
    assert offenders(sources("scenes"), "bpy", "torch", "mage.generator", "mage.learning") == {}


def test_learning_knows_neither_blender_nor_the_generator():
    assert offenders(sources("learning"), "bpy", "mathutils", "mage.generator") == {}


def test_the_generator_knows_neither_torch_nor_learning():
    assert offenders(sources("generator"), "torch", "mage.learning") == {}


def test_blender_is_imported_in_one_folder_only():
    files = [p for package in PACKAGES for p in sources(package) if ROOT / "generator" / "blender" not in p.parents]
    assert offenders(files, "bpy", "mathutils") == {}


def test_the_wall_finds_what_it_looks_for(tmp_path):
    """The check is checked: each way to import is seen."""
    path = tmp_path / "sinner.py"
    path.write_text("def f():\n    import bpy.types\n    from mage import generator\n    import_module('torch.nn')\n")
    assert imported(path) == {"bpy.types", "mage", "mage.generator", "torch.nn"}


@pytest.mark.parametrize("module", BASE_MODULES)
def test_the_base_install_needs_no_extra(module):
    done = blocked(EXTRAS, f"import {module}")
    assert done.returncode == 0, done.stderr


def test_mage_shows_its_commands_where_no_extra_is_installed():
    done = blocked(EXTRAS, "from mage.scenes import cli; cli.main(['--help'])")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "generate" in done.stdout
    assert "doctor" in done.stdout


def test_a_command_without_its_extra_names_the_command_that_installs_it():
    done = blocked(["bpy"], "from mage.scenes import cli; cli.main(['generate', 'flood', '--out', '/nonexistent/x'])")
    assert done.returncode == 2
    assert "pip install 'mage-eo[generator]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_of_learning_can_be_imported_without_blender_and_the_generator():
    modules = [".".join(("mage", *p.relative_to(ROOT).with_suffix("").parts)) for p in sources("learning")]
    names = [m.removesuffix(".__init__") for m in modules if not m.endswith("__main__")]
    done = blocked(["bpy", "mage.generator"], "\n".join(f"import {name}" for name in names))
    assert done.returncode == 0, done.stderr
