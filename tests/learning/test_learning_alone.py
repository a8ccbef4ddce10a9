"""``mage.learning`` in somebody else's project: no Blender, no city libraries, nothing imported before it is used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from mage.learning.options import need_mapping
from mage.scenes.errors import MissingExtraError

HERE = Path(__file__).parent
BLOCKED = ("bpy", "shapely", "lxml", "scipy", "rasterio", "pyproj", "mapbox_earcut", "embreex", "mage.generator")
BLOCK = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if any(name == module or name.startswith(module + ".") for module in {BLOCKED}):
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)
sys.meta_path.insert(0, Block())
"""


def python(code, *words):
    options = ["-W", "error::UserWarning:mage"]
    done = subprocess.run([sys.executable, *options, "-c", code, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("project", "says"),
    [
        ("user_project.py", "(64, 64) (5, 64, 64) 0."),
        ("user_adaptation.py", "['mixed', 'segmentation'] (2, 5, 32, 32) True"),
    ],
)
def test_users_projects_run_where_blender_and_the_city_libraries_are_missing(drawn, tmp_path, project, says):
    code = f"{BLOCK}\nimport runpy; runpy.run_path({str(HERE / project)!r}, run_name='__main__')"
    assert python(code, drawn, tmp_path / "run").startswith(says)


def test_every_module_imports_there():
    code = f"""{BLOCK}
import importlib, pkgutil, mage.learning
for module in pkgutil.walk_packages(mage.learning.__path__, "mage.learning.", onerror=lambda name: None):
    if module.name != "mage.learning.mapping":  # which is an extra of its own
        importlib.import_module(module.name)
print(len([m for m in sys.modules if m.startswith("mage.learning.")]) > 10)
"""
    assert python(code).strip() == "True"


@pytest.mark.parametrize("module", ["mapping", "mapping.run", "mapping.hotspots", "mapping.product.write"])
def test_every_part_of_mapping_says_which_extra_it_lacks(module):
    code = f"""{BLOCK}
from mage.scenes.errors import MissingExtraError
try:
    import mage.learning.{module}
except MissingExtraError as error:
    print(error)
"""
    told = python(code)
    assert "'rasterio'" in told
    assert "pip install 'mage-eo[mapping]'" in told


def test_a_map_that_is_asked_for_says_it_too(tmp_path):
    words = ["mage", "map", f"--post={tmp_path / 'post.tif'}", f"--out={tmp_path / 'map'}", "--kind=flood"]
    code = f"{BLOCK}\nsys.argv = {words}\nfrom mage.scenes.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'mage-eo[mapping]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_package_of_mapping_that_is_not_there_is_named(monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyogrio" else there(name))
    with pytest.raises(MissingExtraError, match=r"'pyogrio'.*pip install 'mage-eo\[mapping\]'"):
        need_mapping()


def test_names_of_mapping_are_those_of_its_modules():
    import mage.learning.mapping as mapping
    from mage.learning.mapping.inputs import Request
    from mage.learning.mapping.run import make_map

    assert (mapping.make_map, mapping.Request) == (make_map, Request)
    assert all(callable(getattr(mapping, name)) for name in mapping.__all__)
    with pytest.raises(AttributeError, match="surplus"):
        mapping.surplus  # noqa: B018


def test_importing_the_package_and_its_commands_imports_neither_torch_nor_blender():
    code = """
import sys, mage.learning, mage.learning.commands
print([m for m in ("torch", "bpy", "cv2", "pyarrow", "numpy") if m in sys.modules])
"""
    assert python(code).strip() == "[]"


def test_every_public_name_is_there_and_is_listed():
    import mage.learning

    for name in mage.learning.__all__:
        assert callable(getattr(mage.learning, name)), name
        assert name in dir(mage.learning)
    with pytest.raises(AttributeError, match="surplus"):
        mage.learning.surplus  # noqa: B018


def test_names_stay_themselves_after_their_modules_are_imported():
    import mage.learning.evaluation
    import mage.learning.train
    from mage.learning import evaluate, fit

    assert evaluate is mage.learning.evaluation.evaluate
    assert fit is mage.learning.train.fit
