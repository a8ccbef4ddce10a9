"""The images of an event on one grid: laid on each other, and what of the place they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import shapely

from mage.learning.mapping.bands import INFRARED, RGB, named_bands, reflectance_limits, telling_bands
from mage.learning.mapping.grader import Grader
from mage.learning.mapping.inputs import Request, area_of, cut, footprint, place_of
from mage.learning.mapping.picture import Floats, Picture, RasterPicture, Shift, working_grid
from mage.learning.mapping.register import Registration, register
from mage.learning.mapping.sight import Cleared, Sight, look
from mage.learning.mapping.vector_inputs import read_areas
from mage.learning.rasters import Raster
from mage.scenes.errors import DatasetError, ModelError
from mage.scenes.grid import Grid

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The images of an event, ready to be looked at.

    Attributes:
        grid: that all lies on.
        area: of interest.
        pre: before the event, as people see it; None where there is no such image.
        post: after it, registered, likewise.
        banded: both in the bands that a model is shown.
        infrared: both in the bands that tell the event better than colours do, all of one scale; None where colours
            tell.
        telling: names of these bands, else red, green and blue.
        registration: of ``post`` against ``pre``; None where it was not measured.
        sight: what is seen of the place.
        gsd: metres of a pixel of the files themselves, by role.
        footprints: their outlines, by role; none where the grid is nowhere on Earth.
    """

    grid: Grid
    area: shapely.Polygon | shapely.MultiPolygon
    pre: Picture | None
    post: Picture
    banded: tuple[Picture | None, Picture]
    registration: Registration | None
    sight: Sight
    gsd: Mapping[str, float]
    footprints: Mapping[str, shapely.Polygon]
    infrared: tuple[Picture | None, Picture] | None = None
    telling: tuple[str, ...] = RGB

    @property
    def looked_at(self) -> tuple[Picture | None, Picture]:
        """The images in the bands ``telling``, that after the event without its clouds."""
        before, after = (self.pre, self.post) if self.infrared is None else self.infrared
        return before, self._cleared(after)

    def shown(self, dates: int) -> tuple[Picture, ...]:
        """The pictures for a model of one date or two."""
        before, after = self.banded
        clear = self._cleared(after)
        return (clear,) if dates == 1 or before is None else (before, clear)

    def _cleared(self, picture: Picture) -> Picture:
        return Cleared(picture, self.sight) if self.sight.cloud.any() else picture


def open_scene(request: Request, grader: Grader | None, tell: Tell) -> Scene:
    """Open the images of a request, find the grid and the area, register, and see where nothing hides the ground.

    Args:
        request: what is asked for.
        grader: whose bands and pixel sizes are wanted; None for red, green, blue and the image's own pixels.
        tell: takes a sentence about what a user should know.

    Raises:
        DatasetError: a file cannot be read, or images, area and model do not go together.
        ModelError: the model wants other bands.
    """
    files = request.files
    post, pre = Raster(files.post), None if files.pre is None else Raster(files.pre)
    native = {"post": _own(post, request.gsd)}
    if pre is not None:
        native["pre"] = _own(pre, native["post"])
    gsd = request.gsd or _fitting(native["post"], grader)
    _say(native["post"], gsd, grader, tell)
    grid, area = _place(request, post, pre, gsd)
    bands, names = _bands(request, grader), _telling(request, pre, post, tell)
    coloured = bands if bands is not None and len(bands) == 3 else _coloured(request)
    after = RasterPicture(post, grid, bands=coloured)
    before = None if pre is None else RasterPicture(pre, grid, bands=coloured)
    found = None if before is None or not request.register else _registered(before, after, request.ecc, tell)
    if found is not None and found.confidence:
        after = after.with_shift(found)
    banded, infrared = (before, after), None
    if bands is not None and bands != coloured:
        first = None if pre is None else RasterPicture(pre, grid, bands=bands)
        banded = first, RasterPicture(post, grid, bands=bands, shift=after.shift)
    if names:
        first = None if pre is None else _reflecting(pre, grid, names, request)
        infrared = first, _reflecting(post, grid, names, request, after.shift)
    sight = look(before, after)
    return Scene(
        grid, area, before, after, banded, found, sight, native, _footprints(pre, post, grid), infrared, names or RGB
    )


def _place(
    request: Request, post: Raster, pre: Raster | None, gsd: float | None
) -> tuple[Grid, shapely.Polygon | shapely.MultiPolygon]:
    aoi = request.files.aoi
    if aoi is None:
        grid = place_of(post, pre, gsd)
        return grid, shapely.box(*grid.bounds)
    grid = place_of(post, pre, gsd, whole=True)
    area = area_of(grid, read_areas(aoi, grid)[0], aoi)
    return cut(grid, area), area


def _footprints(pre: Raster | None, post: Raster, grid: Grid) -> dict[str, shapely.Polygon]:
    rasters = {"pre": pre, "post": post}
    return {
        role: footprint(raster, grid.crs)
        for role, raster in rasters.items()
        if raster is not None and raster.layout.crs is not None and grid.crs is not None
    }


def _own(raster: Raster, stated: float | None) -> float:
    """Metres of a raster's own pixels; those stated where it does not know them."""
    return working_grid(raster, stated if raster.layout.crs is None else None).gsd


def _registered(before: Picture, after: Picture, ecc: bool, tell: Tell) -> Registration:
    found = register(before, after, ecc=ecc)
    if found.note:
        tell(found.note)
    if not found.confidence:
        tell(
            "nothing in the two images matches: do they show the same place? They are laid on each other as they are, "
            "and grades cannot be trusted"
        )
    return found


def _bands(request: Request, grader: Grader | None) -> tuple[int, ...] | None:
    """Numbers of the bands that a model is shown: those asked for, by their names or without, else the first ones of a
    model that wants other than three.
    """
    wanted = 3 if grader is None else grader.network.bands
    asked = request.bands or (tuple(request.named.values()) if wanted != 3 else None)
    if not asked:
        return None if wanted == 3 else tuple(range(1, wanted + 1))
    if grader is not None and len(asked) != wanted:
        raise ModelError(
            "the model wants another number of bands",
            file=grader.file,
            expected=f"{wanted} in --bands",
            found=str(len(asked)),
        )
    return asked


def _coloured(request: Request) -> tuple[int, ...] | None:
    """Numbers of red, green and blue where the request names them all."""
    return tuple(request.named[name] for name in RGB) if set(RGB) <= set(request.named) else None


def _telling(request: Request, pre: Raster | None, post: Raster, tell: Tell) -> tuple[str, ...]:
    """Names of the infrared bands that tell the event; a user who named some is told why they do not.

    Raises:
        DatasetError: the image after the event has no such band, or it is named and nobody says how it is scaled.
    """
    wrong = [f"{name}={number}" for name, number in request.named.items() if number > post.layout.bands]
    if wrong:
        expected, found = f"1 to {post.layout.bands}", ", ".join(wrong)
        raise DatasetError("there is no such band", file=post.place, expected=expected, found=found)
    rasters = [raster for raster in (pre, post) if raster is not None]
    names = telling_bands(request.event.kind, rasters, request.named)
    by_name = bool(set(INFRARED) & set(request.named))
    if by_name and not names and telling_bands(request.event.kind, [post, post], request.named):
        tell("colours tell the event: the image before it has not the infrared bands that were named, or is not there")
    try:
        for raster in rasters if names else []:
            _limits(raster, names, request)
    except DatasetError as error:
        if by_name:
            raise
        tell(f"colours tell the event, though there is infrared: {error}")
        return ()
    return names


def _limits(raster: Raster, names: tuple[str, ...], request: Request) -> tuple[list[int], Floats | None]:
    numbers = [named_bands(raster, request.named)[name] for name in names]
    return numbers, reflectance_limits(raster, numbers, request.reflectance)


def _reflecting(
    raster: Raster, grid: Grid, names: tuple[str, ...], request: Request, shift: Shift | None = None
) -> RasterPicture:
    """A raster in some of its bands, all on one scale."""
    numbers, limits = _limits(raster, names, request)
    return RasterPicture(raster, grid, bands=numbers, shift=shift, limits=limits)


def _fitting(native: float, grader: Grader | None) -> float | None:
    """Metres of a pixel that a model can work with; None for the image's own."""
    if grader is None or grader.gsd is None or native >= grader.gsd[0] * 0.999:
        return None
    return grader.gsd[0]


def _say(native: float, gsd: float | None, grader: Grader | None, tell: Tell) -> None:
    """Where the pixels that are looked at are not the image's own, or not those that the model knows."""
    if grader is None or grader.gsd is None:
        return
    looked_at = gsd or native
    if looked_at > native * 1.001:
        tell(f"the image is of {native:.3g} m a pixel; it is looked at in {looked_at:.3g} m")
    finest, coarsest = grader.gsd
    if not finest * 0.999 <= looked_at <= coarsest * 1.001:
        tell(
            f"pixels of {looked_at:.3g} m are looked at; the model knows {finest:.2g} to {coarsest:.2g} m: it errs more"
        )
