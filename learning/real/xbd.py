"""xBD (Gupta et al. 2019, https://arxiv.org/abs/1911.09296): satellite pairs of 19 disasters, buildings graded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.learning.pictures import LARGEST_BYTES
from mage.learning.real.scenes import LabelledScenes, Scene, folder
from mage.learning.real.taxonomy import DAMAGE, Taxonomy
from mage.learning.shards import Transform
from mage.learning.splits import Row
from mage.scenes.errors import DatasetError, MissingExtraError
from mage.scenes.grades import JDS_NAMES
from mage.scenes.metrics import IGNORE

SPLITS = ("train", "tier1", "tier3", "hold", "test")
PRE, POST = "_pre_disaster", "_post_disaster"
VALUES = {name: 1 + grade for grade, name in enumerate(JDS_NAMES)} | {"un-classified": IGNORE}


class XBD(LabelledScenes):
    """xBD as it is distributed: ``SPLIT/images/EVENT_00000000_{pre,post}_disaster.png`` with ``SPLIT/targets/`` (values
    0-4) or ``SPLIT/labels/`` (JSON, polygons as WKT), SPLIT one of train, tier1, tier3, hold and test.

    Samples are pairs; the mask is ``DAMAGE``: 0 background, 1 + Joint Damage Scale grade on buildings of the image
    after. It is read from the targets where the split has them, else drawn from the polygons by the rule of pixel
    centres; of polygons, ``un-classified`` ones become 255 and later ones lie over earlier ones. MAGE's own datasets
    exported as xBD are read as well. The place of a scene is its event.

    Args:
        root: the folder with the splits in it.
        split: one of them; None takes all that are there.
        taxonomy: how to read the values 0-4 (and 255).
        size: side of the square crops to train with, pixels; None gives whole images, as scores want them.
        transform: applied to each sample last.

    Raises:
        DatasetError: as of :class:`~mage.learning.LabelledScenes`; labels that are not xBD's.
        MissingExtraError: labels are to be drawn, and rasterio or shapely is not installed.

    >>> import tempfile, cv2, numpy as np
    >>> from pathlib import Path
    >>> def draw(path, pixels):
    ...     path.parent.mkdir(parents=True, exist_ok=True)
    ...     assert cv2.imwrite(str(path), pixels)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for date in ("pre", "post"):
    ...         name = f"some-flood_00000000_{date}_disaster"
    ...         draw(Path(root, "hold", "images", f"{name}.png"), np.zeros((32, 32, 3), np.uint8))
    ...         draw(Path(root, "hold", "targets", f"{name}_target.png"), np.ones((32, 32), np.uint8))
    ...     dataset = XBD(root, split="hold", size=16)
    ...     dataset[0]["image"].shape, dataset.rows[0].event
    (torch.Size([2, 3, 16, 16]), 'some-flood')
    """

    LAYOUT = (
        "SPLIT/images/NAME_pre_disaster.png and NAME_post_disaster.png, with "
        "SPLIT/targets/NAME_post_disaster_target.png or SPLIT/labels/NAME_post_disaster.json; "
        f"SPLIT one of {', '.join(SPLITS)}"
    )

    def __init__(
        self,
        root: str | Path,
        *,
        split: str | None = None,
        taxonomy: Taxonomy = DAMAGE,
        size: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        top = folder(Path(root), self.LAYOUT)
        there = [name for name in SPLITS if (top / name).is_dir()] if split is None else [split]
        scenes = [scene for name in there for scene in _scenes(folder(top / name, self.LAYOUT))]
        super().__init__(root, scenes, taxonomy, size=size, transform=transform)

    def labels(self, scene: Scene, shape: tuple[int, int]) -> NDArray[Any]:
        """The labels of the image after: its target, or what its polygons cover."""
        if scene.mask.suffix != ".json":
            return super().labels(scene, shape)
        return draw_polygons(scene.mask, shape)


def draw_polygons(path: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The mask (rows, columns) of an xBD label file: 1 + grade where a pixel's centre lies in a polygon, 255 on those
    that are un-classified; polygons without a subtype, as of images before, are 1.

    Raises:
        DatasetError: not such a file, or of an image of another size.
        MissingExtraError: rasterio or shapely is not installed.
    """
    try:
        from rasterio.features import rasterize
    except ModuleNotFoundError:
        raise MissingExtraError("rasterio", "collect") from None
    content = _json(path)
    try:
        size = content["metadata"]["height"], content["metadata"]["width"]
        features = [(f["wkt"], f["properties"].get("subtype", JDS_NAMES[0])) for f in content["features"]["xy"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            "not a label file of xBD", file=path, expected="metadata and features.xy", found=repr(error)
        ) from None
    if size != shape:
        raise DatasetError("labels of an image of another size", file=path, expected=str(shape), found=str(size))
    shapes = list(_valued(features, path))
    if not shapes:
        return np.zeros(shape, np.uint8)
    return np.asarray(rasterize(shapes, out_shape=shape, fill=0, dtype="uint8"), np.uint8)


def _valued(features: list[tuple[Any, Any]], path: Path) -> Iterator[tuple[Any, int]]:
    try:
        import shapely
    except ModuleNotFoundError:
        raise MissingExtraError("shapely", "collect") from None
    for wkt, subtype in features:
        if not isinstance(subtype, str) or subtype not in VALUES:
            raise DatasetError("no grade of xBD", file=path, expected=", ".join(VALUES), found=repr(subtype))
        try:
            polygon = shapely.from_wkt(wkt)
        except (shapely.errors.ShapelyError, TypeError):
            polygon = None
        if polygon is None or polygon.geom_type not in ("Polygon", "MultiPolygon"):
            raise DatasetError("not a polygon in WKT", file=path, found=repr(wkt)[:80])
        if not polygon.is_empty:
            yield polygon, VALUES[subtype]


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DatasetError("not read", file=path, expected=f"at most {LARGEST_BYTES} bytes")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", file=path) from None
    except (ValueError, RecursionError):
        raise DatasetError("damaged: not JSON", file=path) from None


def _scenes(split: Path) -> Iterator[Scene]:
    targets = (split / "targets").is_dir()
    for post in sorted(folder(split / "images", XBD.LAYOUT).glob(f"*{POST}.png")):
        key = post.stem.removesuffix(POST)
        mask = split / "targets" / f"{post.stem}_target.png" if targets else split / "labels" / f"{post.stem}.json"
        event = key.rpartition("_")[0] or key
        yield Scene(Row(key, event, event, split.name), (post.with_name(f"{key}{PRE}.png"), post), mask)
    posts = {post.stem.removesuffix(POST) for post in (split / "images").glob(f"*{POST}.png")}
    for pre in sorted((split / "images").glob(f"*{PRE}.png")):
        if (key := pre.stem.removesuffix(PRE)) not in posts:
            raise DatasetError(f"missing: scene '{key}' is not whole", file=pre.with_name(f"{key}{POST}.png"))
