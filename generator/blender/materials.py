"""Materials, as cheap as they can be and still look right from above: most light is diffuse, water and cars shine."""

from __future__ import annotations

from typing import Any

import bpy
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mage.generator.noise import fractal
from mage.scenes.grid import Grid

STAIN_SIDE, STAIN_PIXELS = 64.0, 512  # metres and pixels of the weathering texture, which repeats
# What of the sun comes through one side of a crown, by gaps and through leaves: a third of it through a whole crown, as
# beneath broadleaved trees of gardens and streets; judgement. Alike in all bands, by which light is told from light.
THROUGH_LEAVES = 0.56
COVERING_SIDE, COVERING_PIXELS = 20.4, 512  # of the texture of tiles and sheets: 60 rows of tiles, 8.5 laps
STOREYS, BAYS = 7, 6  # rows and columns of windows on a texture of that size


class _Nodes:
    """A node tree being built: ``new`` adds a node, ``join`` wires sockets by name."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.material.use_fake_user = True  # water has no object between two photographs
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.output = self.new("ShaderNodeOutputMaterial")

    def new(self, kind: str, **settings: Any) -> Any:
        """A node of a kind that Blender knows, with its settings."""
        node = self.tree.nodes.new(kind)
        for key, value in settings.items():
            setattr(node, key, value)
        return node

    def join(self, source: Any, out: str, target: Any, into: str | int) -> None:
        """Wire a node's output to another's input."""
        self.tree.links.new(source.outputs[out], target.inputs[into])

    def product(self, *factors: tuple[Any, str]) -> tuple[Any, str]:
        """A socket that multiplies colours or vectors."""
        node, out = factors[0]
        for other, socket in factors[1:]:
            times = self.new("ShaderNodeVectorMath", operation="MULTIPLY")
            self.join(node, out, times, 0)
            self.join(other, socket, times, 1)
            node, out = times, "Vector"
        return node, out

    def texture(self, uv: Any, side: float, name: str, pixels: NDArray[np.float32]) -> Any:
        """A node with a picture that repeats every ``side`` metres along eave and slope."""
        scale = self.new("ShaderNodeVectorMath", operation="SCALE")
        scale.inputs["Scale"].default_value = 1 / side
        self.join(uv, "UV", scale, 0)
        texture = self.new("ShaderNodeTexImage", image=float_image(name, pixels))
        self.join(scale, "Vector", texture, "Vector")
        return texture

    def about_one(self, texture: Any, strength: str) -> tuple[Any, str]:
        """A factor per band: one plus a texture's colour times a face attribute."""
        attribute = self.new("ShaderNodeAttribute", attribute_name=strength)
        factor = self.new("ShaderNodeVectorMath", operation="MULTIPLY_ADD")
        self.join(texture, "Color", factor, 0)
        self.join(attribute, "Vector", factor, 1)
        factor.inputs[2].default_value = (1.0, 1.0, 1.0)
        return factor, "Vector"

    def diffuse(self, colour: tuple[Any, str], normal: tuple[Any, str] | None = None) -> bpy.types.Material:
        """The material of a surface that scatters light evenly, in a colour."""
        shader = self.new("ShaderNodeBsdfDiffuse")
        if normal is not None:
            self.join(*normal, shader, "Normal")
        self.join(*colour, shader, "Color")
        self.join(shader, "BSDF", self.output, "Surface")
        return self.material


def float_image(name: str, pixels: NDArray[np.float32]) -> bpy.types.Image:
    """An image of linear values, float32 (rows, columns, 3), row 0 in the north; replaces one of the same name."""
    old = bpy.data.images.get(name)
    rows, columns = pixels.shape[:2]
    if old is not None and tuple(old.size) != (columns, rows):
        bpy.data.images.remove(old)
        old = None
    image = old or bpy.data.images.new(name, columns, rows, float_buffer=True, alpha=False)
    image.colorspace_settings.name = "Non-Color"  # the values are reflectances already
    rgba = cv2.cvtColor(cv2.flip(np.asarray(pixels, np.float32), 0), cv2.COLOR_RGB2RGBA)
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    return image


def fabric_material() -> bpy.types.Material:
    """Roofs and all else but walls: each face's own reflectance times stains that run along eave and slope."""
    nodes = _Nodes("fabric")
    uv = nodes.new("ShaderNodeUVMap", uv_map="uv")
    stains = nodes.texture(uv, STAIN_SIDE, "stains", _stains())
    tint = nodes.new("ShaderNodeAttribute", attribute_name="tint")
    return nodes.diffuse(nodes.product((tint, "Vector"), (stains, "Color"), _covering(nodes, uv), _crushed(nodes, uv)))


def facade_material() -> bpy.types.Material:
    """Walls: each face's own reflectance times weather, and windows as strongly as the face's ``pattern`` says."""
    nodes = _Nodes("facade")
    uv = nodes.new("ShaderNodeUVMap", uv_map="uv")
    windows = nodes.about_one(nodes.texture(uv, COVERING_SIDE, "windows", _windows()), "pattern")
    tint = nodes.new("ShaderNodeAttribute", attribute_name="tint")
    return nodes.diffuse(nodes.product((tint, "Vector"), windows, _crushed(nodes, uv)))


def _windows() -> NDArray[np.float32]:
    """What windows add to 1 in each band: :data:`STOREYS` rows of :data:`BAYS` panes in their frames, some behind
    curtains or shutters, and dirt that runs down below the sills.
    """
    rng = np.random.default_rng(96)
    gsd = COVERING_SIDE / COVERING_PIXELS
    grid = Grid(COVERING_PIXELS, COVERING_PIXELS, 0.0, COVERING_SIDE, gsd)
    x, y = grid.centres()
    storey, bay = COVERING_SIDE / STOREYS, COVERING_SIDE / BAYS
    up, along = (y % storey)[:, None], np.abs(x % bay - bay / 2)[None, :]
    level, column = (y // storey).astype(int)[:, None], (x // bay).astype(int)[None, :]
    half = rng.choice([0.45, 0.6, 0.8], BAYS)[column]  # metres; a column of windows has one width
    pane = (along < half) & (up > 0.95) & (up < 2.3)
    frame = (along < half + 0.12) & (up > 0.85) & (up < 2.4) & ~pane
    value = np.exp(0.06 * fractal(grid, (3.0, 1.1, 0.5), seed=97)) - 0.12 * (up > storey - 0.2)
    value -= 0.12 * (along < half) * np.exp(-(0.95 - up) / 0.4) * (up <= 0.95)
    value = np.where(frame, 1.08, value)[..., None] * np.ones(3)
    light = rng.choice([0.16, 0.22, 0.34, 0.75], (STOREYS, BAYS), p=[0.4, 0.3, 0.2, 0.1])[level, column]
    value = np.where(pane[..., None], light[..., None] * (0.92, 1.0, 1.12), value)
    return (value - 1).astype(np.float32)


def plain_material(name: str) -> bpy.types.Material:
    """Each face's own reflectance and nothing else."""
    nodes = _Nodes(name)
    return nodes.diffuse((nodes.new("ShaderNodeAttribute", attribute_name="tint"), "Vector"))


def _covering(nodes: _Nodes, uv: Any) -> tuple[Any, str]:
    """A factor near 1: one plus the faces' strengths of tile rows, corrugation and stains times their patterns."""
    patterns = nodes.texture(uv, COVERING_SIDE, "coverings", _coverings())
    strength = nodes.new("ShaderNodeAttribute", attribute_name="pattern")
    dot = nodes.new("ShaderNodeVectorMath", operation="DOT_PRODUCT")
    nodes.join(strength, "Vector", dot, 0)
    nodes.join(patterns, "Color", dot, 1)
    one = nodes.new("ShaderNodeMath", operation="ADD")
    one.inputs[1].default_value = 1.0
    nodes.join(dot, "Value", one, 0)
    return one, "Value"


def _crushed(nodes: _Nodes, uv: Any) -> tuple[Any, str]:
    """A factor near 1 per band: what is broken to pieces, as strongly as the faces' ``grain`` says."""
    return nodes.about_one(nodes.texture(uv, COVERING_SIDE, "pieces", _fragments()), "grain")


def _fragments() -> NDArray[np.float32]:
    """What rubble adds to 1 in each band: chunks of 0.3 to 1.5 m, each of its own tone, dark gaps between them, bars
    and boards across. Zero on average.
    """
    rng = np.random.default_rng(94)
    n = COVERING_PIXELS
    points = rng.uniform(0, n, (1400, 2))
    size = rng.uniform(0, 14, len(points))  # pixels by which some chunks are larger than others
    y, x = np.mgrid[0:n, 0:n]
    spots = np.column_stack([x.ravel(), y.ravel()])
    away, index = cKDTree(points).query(spots, k=4)
    order = np.argsort(away - size[index], axis=1)
    away = np.take_along_axis(away - size[index], order, axis=1)
    own = np.take_along_axis(index, order, axis=1)[:, 0]
    tone = rng.normal(0, 0.34, len(points))[:, None] + rng.normal(0, 0.07, (len(points), 3))
    gap = np.exp(-((away[:, 1] - away[:, 0]) / 3.0))
    value = np.exp(tone[own] - 0.75 * gap[:, None]).reshape(n, n, 3).astype(np.float32)
    for _ in range(500):
        at, turn, half = rng.uniform(0, n, 2), rng.uniform(0, np.pi), rng.uniform(6, 34)
        step = half * np.array([np.cos(turn), np.sin(turn)])
        first, last = ((at + sign * step).astype(int).tolist() for sign in (-1, 1))
        shade = float(np.exp(rng.normal(0.15, 0.5)))
        cv2.line(value, first, last, (1.05 * shade, shade, 0.9 * shade), int(rng.integers(1, 4)))
    return value / value.mean(axis=(0, 1)) - 1


def _coverings() -> NDArray[np.float32]:
    """What three kinds of roofing add to 1: rows of tiles 0.34 m deep (red), sheets 0.9 m wide with ribs along the
    slope and laps every 2.4 m (green), stains (blue). Zero on average, so that colours stay what they are.
    """
    gsd = COVERING_SIDE / COVERING_PIXELS
    grid = Grid(COVERING_PIXELS, COVERING_PIXELS, 0.0, COVERING_SIDE, gsd)
    x, y = grid.centres()
    rows = 0.13 * (2 * (y[:, None] / 0.34 % 1.0) - 1) + 0.05 * fractal(grid, (1.0, 0.3), seed=91)
    ribs = 0.1 * np.sin(2 * np.pi * x[None, :] / 0.3) - 0.16 * (x[None, :] % 0.9 < 0.09)
    sheet = fractal(Grid(32, 32, 0.0, 32.0, 1.0), (0.9,), seed=92)  # every sheet a little apart from the next
    cells = sheet[(y / 2.4).astype(int) % 32][:, (x / 0.9).astype(int) % 32]
    metal = ribs - 0.14 * (y[:, None] % 2.4 < 0.12) + 0.07 * cells
    stains = np.exp(0.24 * fractal(grid, (9.0, 3.4, 1.2, 0.5), seed=93, falloff=0.8))
    stains -= 0.35 * np.clip(fractal(grid, (6.0, 2.0, 0.7), seed=95) - 0.9, 0, 1)
    layers = [layer - layer.mean() for layer in (rows, metal, stains)]
    return np.stack(layers, axis=-1).astype(np.float32)


def _stains() -> NDArray[np.float32]:
    """Factors around 1 on all that is built: uneven within metres, streaks down the slope."""
    gsd = STAIN_SIDE / STAIN_PIXELS
    grid = Grid(STAIN_PIXELS, STAIN_PIXELS, 0.0, STAIN_SIDE, gsd)
    patches = fractal(grid, (3.0, 1.2, 0.5), seed=5, falloff=0.9)
    stretched = Grid(STAIN_PIXELS, STAIN_PIXELS, 0.0, STAIN_SIDE / 6, gsd / 6)
    streaks = fractal(stretched, (1.0, 0.3), seed=6).repeat(6, axis=1)[:, :STAIN_PIXELS]
    soot = fractal(grid, (13.0, 7.0), seed=7)  # what trees and rain leave of one slope and not of another
    value = np.exp(0.09 * patches + 0.08 * streaks + 0.1 * soot)
    return np.repeat(value[..., None], 3, axis=2).astype(np.float32)


def tree_material() -> bpy.types.Material:
    """Crowns: the colour of each copy, darker in the crevices.

    Leaves let light through, so a crown's flank is not as dark as a wall's: normals are bent up, and shadows are not
    black.
    """
    nodes = _Nodes("crown")
    tint = nodes.new("ShaderNodeAttribute", attribute_name="tint", attribute_type="INSTANCER")
    shade = nodes.new("ShaderNodeAttribute", attribute_name="shade")
    facing = nodes.new("ShaderNodeNewGeometry")
    bent = nodes.new("ShaderNodeVectorMath", operation="ADD")
    nodes.join(facing, "Normal", bent, 0)
    bent.inputs[1].default_value = (0.0, 0.0, 1.4)
    unit = nodes.new("ShaderNodeVectorMath", operation="NORMALIZE")
    nodes.join(bent, "Vector", unit, 0)
    material = nodes.diffuse(nodes.product((tint, "Vector"), (shade, "Vector")), (unit, "Vector"))
    path, through = nodes.new("ShaderNodeLightPath"), nodes.new("ShaderNodeBsdfTransparent")
    through.inputs["Color"].default_value = (*[THROUGH_LEAVES] * 3, 1.0)
    either = nodes.new("ShaderNodeMixShader")
    nodes.join(path, "Is Shadow Ray", either, 0)
    nodes.tree.links.new(nodes.output.inputs["Surface"].links[0].from_socket, either.inputs[1])
    nodes.join(through, "BSDF", either, 2)
    nodes.join(either, "Shader", nodes.output, "Surface")
    return material


def vehicle_material() -> bpy.types.Material:
    """Cars: paint in the colour of each copy, dark glass, a clear coat that catches the sun."""
    nodes = _Nodes("vehicle")
    tint = nodes.new("ShaderNodeAttribute", attribute_name="tint", attribute_type="INSTANCER")
    shade = nodes.new("ShaderNodeAttribute", attribute_name="shade")
    shader = nodes.new("ShaderNodeBsdfPrincipled")
    shader.inputs["Roughness"].default_value = 0.3
    nodes.join(*nodes.product((tint, "Vector"), (shade, "Vector")), shader, "Base Color")
    nodes.join(shader, "BSDF", nodes.output, "Surface")
    return nodes.material


def tile_material(name: str, *, waves: bool = False) -> bpy.types.Material:
    """Ground or water of one tile: a picture over its square; :func:`set_tile_picture` lays it. Water has waves and
    shines.
    """
    nodes = _Nodes(name)
    where = nodes.new("ShaderNodeNewGeometry")
    place = nodes.new("ShaderNodeMapping", vector_type="TEXTURE", name="place")
    nodes.join(where, "Position", place, "Vector")
    picture = nodes.new("ShaderNodeTexImage", extension="EXTEND", name="picture")
    nodes.join(place, "Vector", picture, "Vector")
    if not waves:
        return nodes.diffuse((picture, "Color"))
    ripple = nodes.new("ShaderNodeTexNoise")
    ripple.inputs["Scale"].default_value = 0.55
    ripple.inputs["Detail"].default_value = 3.0
    nodes.join(where, "Position", ripple, "Vector")
    bump = nodes.new("ShaderNodeBump")
    bump.inputs["Strength"].default_value = 0.12
    bump.inputs["Distance"].default_value = 0.25
    nodes.join(ripple, "Fac", bump, "Height")
    shader = nodes.new("ShaderNodeBsdfPrincipled")
    shader.inputs["Roughness"].default_value = 0.3
    shader.inputs["Specular IOR Level"].default_value = 0.25  # ripples below a pixel scatter most of the glint away
    shader.inputs["IOR"].default_value = 1.33
    nodes.join(picture, "Color", shader, "Base Color")
    nodes.join(bump, "Normal", shader, "Normal")
    nodes.join(shader, "BSDF", nodes.output, "Surface")
    return nodes.material


def set_tile_picture(material: bpy.types.Material, grid: Grid, pixels: NDArray[np.float32]) -> None:
    """Lay a picture, float32 (rows, columns, 3), over the square of ``grid``."""
    nodes = material.node_tree.nodes
    west, south, east, north = grid.bounds
    place = nodes["place"]
    place.inputs["Location"].default_value = (west, south, 0)
    place.inputs["Scale"].default_value = (east - west, north - south, 1)
    nodes["picture"].image = float_image(f"{material.name}-picture", pixels)
