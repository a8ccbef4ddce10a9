"""A small valid dataset, drawn instead of rendered: what a test needs when it is not about Blender.

Houses stand on grass along two streets beside a canal. After, water stands in the east of the tile, its depth rising
to the east; the deeper a house stands in it, the browner its roof, so that a model can learn from the pictures.
"""

from __future__ import annotations

import cv2
import numpy as np

from mage.scenes.campaign import Campaign, Event
from mage.scenes.dataset.fields import LandClass
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.schema import (
    BuildingRecord,
    DateRecord,
    GridRecord,
    RoadRecord,
    Sample,
    SampleRecord,
    SensorBandRecord,
    SensorRecord,
    TentRecord,
)
from mage.scenes.dataset.store import open_store, write_shard
from mage.scenes.dataset.unlabelled import Tile, TileBand, TileRecord, encode_tile, finish_unlabelled
from mage.scenes.grades import jds_of_flood
from mage.scenes.recipe import Recipe

HASH = "0123456789abcdef"
GSD = 0.5
VERSIONS = {"mage-eo": "0", "numpy": "0"}
SOURCES = [{"name": "drawn", "format": "none", "licence": "CC0-1.0", "sha256": None}]
COLOURS = {
    LandClass.GRASS: (96, 122, 70),
    LandClass.ROAD: (128, 128, 130),
    LandClass.WATER: (58, 84, 96),
    LandClass.FLOOD: (134, 118, 86),
    LandClass.VEHICLE: (240, 240, 240),
    LandClass.TREE: (40, 66, 38),
}


def fake_recipe(count=4, size=64, seed=0, shard_size=2):
    """The recipe that a fake dataset states."""
    output = {"size": size, "gsd": GSD, "shard_size": shard_size}
    return Recipe.model_validate({"name": "fake", "count": count, "seed": seed, "output": output})


SENSOR = SensorRecord(
    name="drawn-2",
    source="drawn",
    depth=12,
    bands=[
        SensorBandRecord(name="red", centre=660, width=60, gsd=1.5, bits=16, scale=10_000),
        SensorBandRecord(name="red-edge", centre=710, width=20, gsd=3.0, bits=16, scale=10_000),
    ],
)


def with_sensor(sample, sensor=SENSOR):
    """The sample with images of a further sensor: column number times 100, in its own pixels."""
    bands, records, grid = {}, [], sample.record.grid
    for member, band in sensor.members.items():
        side = int(grid.rows * grid.gsd / band.gsd)
        bands[member] = np.tile(np.arange(side, dtype=np.uint16) * 100, (side, 1))
        records.append({"member": member, "rows": side, "columns": side, "gsd": band.gsd, "bits": band.bits})
    record = SampleRecord.model_validate(sample.record.model_dump() | {"images": records})
    return Sample(record, sample.images, sample.labels, bands)


def write_sensed_dataset(root, count=2, size=64):
    """A dataset whose samples hold images of a further sensor."""
    samples = [with_sensor(fake_sample(i, size)) for i in range(count)]
    shard = write_shard(open_store(root), "train-000000.tar", samples, HASH)
    return finish_dataset(root, fake_recipe(count, size), [shard], VERSIONS, SOURCES, [SENSOR])


def write_fake_dataset(root, count=4, size=64, shard_size=2, seed=0, split="train", city="testville"):
    """Write a whole dataset into ``root``, a folder or store, and return its record."""
    store = open_store(root)
    shards = []
    for k, first in enumerate(range(0, count, shard_size)):
        samples = (fake_sample(i, size, seed, split, city) for i in range(first, min(first + shard_size, count)))
        shards.append(write_shard(store, f"{split}-{k:06d}.tar", samples, HASH))
    return finish_dataset(root, fake_recipe(count, size, seed, shard_size), shards, VERSIONS, SOURCES)


def write_fake_tiles(root, count=5, size=48, bands=("red", "green", "blue"), shard_size=3):
    """A dataset without labels of hazy tiles, as ``mage collect`` writes them."""
    store, shards = open_store(root), []
    for k, first in enumerate(range(0, count, shard_size)):
        tiles = (fake_tile(i, size, bands) for i in range(first, min(first + shard_size, count)))
        shards.append(write_shard(store, f"tiles-{k:06d}.tar", tiles, HASH, encode_tile))
    return finish_unlabelled(root, "hazy", shards, {"service": "none"}, VERSIONS)


def fake_tile(index, size, bands):
    """A tile of noise under haze, 100 m east of the one before."""
    grid = GridRecord(rows=size, columns=size, west=500_000 + 100 * index, north=5_700_000, gsd=2, crs="EPSG:32631")
    record = TileRecord(
        key=f"tile-{index:06d}",
        source="drawn",
        collection="hazy",
        item=f"item-{index // 2}",
        licence="CC0-1.0",
        attribution="nobody",
        date=f"2023-05-{1 + index:02d}T00:00:00Z",
        cloud=None if index else 5.0,
        grid=grid,
        footprint=[(3.0, 51.0), (3.1, 51.0), (3.1, 51.1), (3.0, 51.0)],
        bands=[TileBand(name=name, bits=8) for name in bands],
        limits={},
        valid=1.0,
    )
    rng = np.random.default_rng(index)
    return Tile(record, {name: rng.integers(120, 220, (size, size)).astype(np.uint8) for name in bands})


def fake_sample(index, size=64, seed=0, split="train", city="testville"):
    """One sample with houses in every state of flooding; a pure function of its arguments."""
    rng = np.random.default_rng([seed, index])
    building = draw_houses(rng, size)
    count = int(building.max())
    road, water = draw_streets(building), draw_canal(building)
    depth = draw_flood(rng, building, water)
    grades = grade_houses(building, depth, count)
    labels = draw_labels(rng, building, road, water, depth, grades)
    images = {date: photograph(rng, labels, date) for date in ("pre", "post")}
    record = describe(index, size, seed, split, city, labels, grades)
    return Sample(record, images, labels)


def with_tents(sample, hazard="camp"):
    """The sample with two tents of 4 by 3 pixels on its dry grass, as of a camp."""
    labels = {name: raster.copy() for name, raster in sample.labels.items()}
    free = (labels["post_class"] == LandClass.GRASS) & (labels["post_road"] == 0)
    clear = cv2.erode(free.astype(np.uint8), np.ones((3, 4), np.uint8), anchor=(0, 0), borderValue=0)
    tents = []
    for row, column in np.argwhere(clear):
        if len(tents) < 2 and not labels["post_tent"][row : row + 3, column : column + 4].any():
            labels["post_tent"][row : row + 3, column : column + 4] = len(tents) + 1
            labels["post_class"][row : row + 3, column : column + 4] = LandClass.TENT
            tents.append(describe_tent(len(tents) + 1, float(column), float(row)))
    pixels = {name: count_pixels(labels[name]) for name in sample.record.pixels}
    record = sample.record.model_copy(update={"tents": tents, "hazard": hazard, "pixels": pixels})
    return Sample(record, sample.images, labels)


def describe_tent(number, left, top):
    """The record of a tent by its top left corner in pixels."""
    ring = [(left, top), (left + 4, top), (left + 4, top + 3), (left, top + 3), (left, top)]
    return TentRecord(
        id=number,
        polygons_px=[[ring]],
        polygons_map=[[[(x * GSD, -y * GSD) for x, y in ring]]],
        colour="white",
        form="ridge",
        length=2.0,
        width=1.5,
    )


def draw_houses(rng, size):
    """Rectangles on a jittered lattice, numbered from 1."""
    building = np.zeros((size, size), np.uint16)
    for row in range(2, size - 12, 16):
        for column in range(10, size - 12, 16):
            if rng.random() < 0.85:
                y, x = row + rng.integers(0, 3), column + rng.integers(0, 3)
                building[y : y + rng.integers(6, 10), x : x + rng.integers(6, 10)] = building.max() + 1
    return building


def draw_streets(building):
    """Edge 1 along the top row of the lattice's gaps, edge 2 down the middle."""
    road = np.zeros_like(building)
    size = len(road)
    road[min(14, size - 2) : min(14, size - 2) + 2] = 1
    road[:, size // 2 : size // 2 + 2] = 2
    road[building > 0] = 0
    return road


def draw_canal(building):
    """Permanent water along the western side."""
    water = np.zeros(building.shape, np.uint8)
    water[:, :6] = 1
    return water * (building == 0)


def draw_flood(rng, building, water):
    """Depth in cm, rising to the east from a shore somewhere in the middle."""
    size = building.shape[1]
    shore = size * rng.uniform(0.2, 0.6)
    depth = np.clip((np.arange(size) - shore) * 400 / size, 0, None).astype(np.uint16)
    return np.where((building > 0) | (water > 0), 0, depth[None, :]).astype(np.uint16)


def grade_houses(building, depth, count):
    """Joint Damage Scale of every house: by the share of its rim that is wet, destroyed in more than 2 m."""
    wet, deep = np.zeros(count), np.zeros(count)
    for k in range(count):
        body = (building == k + 1).astype(np.uint8)
        rim = (cv2.dilate(body, np.ones((3, 3), np.uint8)) > 0) & (building == 0)
        wet[k] = np.mean(depth[rim] > 0) if rim.any() else 0.0
        deep[k] = float(depth[rim].max(initial=0) > 200)
    return jds_of_flood(wet, deep)


def draw_labels(rng, building, road, water, depth, grades):
    """All label rasters by member name."""
    top = np.full(building.shape, LandClass.GRASS, np.uint8)
    top[road > 0], top[water > 0] = LandClass.ROAD, LandClass.WATER
    wet = top.copy()
    wet[depth > 0] = LandClass.FLOOD
    for raster in (top, wet):
        raster[building > 0] = LandClass.BUILDING
        spots = rng.random(building.shape) < 0.01
        raster[spots & (building == 0)] = LandClass.TREE
    height = ((building > 0) * 600 + (top == LandClass.TREE) * 400).astype(np.uint16)
    graded = np.concatenate([[0], grades + 1]).astype(np.uint8)[building]
    passable = cars_pass(road, depth)
    blocked = np.concatenate([[False], ~passable])[road]
    shared = {"building": building, "road": road, "water": water, "height": height}
    shared["cloud"] = np.zeros(building.shape, np.uint8)
    pre = {f"pre_{name}": raster.copy() for name, raster in (shared | {"class": top}).items()}
    flood = {"damage": graded, "ems98": (building > 0) * 2, "visible": (building > 0) * 1}
    flood |= {"depth": depth, "flood": depth > 0, "blocked": blocked, "class": wet}
    flood |= {"debris": np.zeros(building.shape), "burn": np.zeros(building.shape)}
    flood |= {"mud": np.zeros(building.shape), "tent": np.zeros(building.shape, np.uint16)}
    small = {"ems98", "visible", "flood", "blocked", "debris", "burn", "mud"}
    post = {f"post_{n}": r.astype(np.uint8) if n in small else r for n, r in (shared | flood).items()}
    return pre | post


def cars_pass(road, depth):
    """Whether an ordinary car can pass each of the two edges: no more than 30 cm."""
    return np.array([depth[road == edge].max(initial=0) <= 30 for edge in (1, 2)])


def photograph(rng, labels, date):
    """A picture that shows the labels through noise."""
    classes = labels[f"{date}_class"]
    image = np.zeros((*classes.shape, 3))
    for kind, colour in COLOURS.items():
        image[classes == kind] = colour
    roof = np.array([178, 96, 80]) + 40 * np.sin(labels[f"{date}_building"].astype(float))[..., None]
    if date == "post":
        worn = np.clip(labels["post_damage"].astype(float) - 1, 0, 3)[..., None] / 3
        roof = roof * (1 - worn) + np.array([70, 60, 45]) * worn
    image = np.where((classes == LandClass.BUILDING)[..., None], roof, image)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def describe(index, size, seed, split, city, labels, grades):
    """The sample's record."""
    numbers = np.unique(labels["pre_building"])[1:]
    date = {"off_nadir_angle": 0.0, "target_azimuth": 0.0, "sensor": "nadir-rgb", "sun_azimuth": 170.0}
    return SampleRecord(
        key=f"{city}-flood-{index:06d}",
        index=index,
        city=city,
        event=f"{city}-flood-{seed}",
        hazard="flood",
        parameters={"stage": 1.5, "region": "europe"},
        split=split,
        seed=seed,
        recipe_hash=HASH,
        grid=GridRecord(rows=size, columns=size, west=1000.0 * index, north=size * GSD, gsd=GSD, crs="EPSG:28992"),
        pre=DateRecord(capture_date="2023-06-14T12:00:00", sun_elevation=60.0, **date),
        post=DateRecord(capture_date="2023-07-02T11:00:00", sun_elevation=55.0, **date),
        buildings=[describe_house(int(n), int(grades[n - 1]), labels, 1000.0 * index, size * GSD) for n in numbers],
        roads=[describe_road(edge, labels) for edge in (1, 2)],
        pixels={name: count_pixels(labels[name]) for name in ("pre_class", "post_class", "post_damage")},
        inferred=["terrain"],
    )


def describe_house(number, grade, labels, west, north):
    """The record of one house, its outline the rectangle of its pixels."""
    rows, columns = np.nonzero(labels["pre_building"] == number)
    left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return BuildingRecord(
        id=number,
        source_id=f"house-{number}",
        polygons_px=[[[(float(x), float(y)) for x, y in corners]]],
        polygons_map=[[[(west + float(x) * GSD, north - float(y) * GSD) for x, y in corners]]],
        height=6.0,
        occupancy="residential",
        causes=["flood"] if grade else [],
        collapse="none",
        burn="none",
        roof_lost=0.0,
        intensities={},
        depth_max=float(grade),
        depth_at_image=float(grade),
        wet_share=grade / 3,
        p_grade=[0.5, 0.5, 0, 0, 0, 0],
        ems98=1,
        visible=0,
        jds=grade,
        loss=grade / 4,
        inferred=[],
    )


def describe_road(edge, labels):
    """The record of one of the two streets."""
    road, depth = labels["post_road"], labels["post_depth"]
    size = float(len(road))
    line = [(0.0, 15.0), (size, 15.0)] if edge == 1 else [(size / 2, 0.0), (size / 2, size)]
    deepest = float(depth[road == edge].max(initial=0)) / 100
    car, truck = bool(cars_pass(road, depth)[edge - 1]), deepest <= 0.9
    return RoadRecord(
        id=edge,
        edge=edge - 1,
        lines_px=[line],
        lines_map=[[(x * GSD, -y * GSD) for x, y in line]],
        width=1.0,
        kind="residential",
        depth_max=deepest,
        depth_at_image=deepest,
        debris=0.0,
        free_width=1.0,
        car=car,
        truck=truck,
        reason="" if car and truck else "water",
        inferred=True,
    )


def count_pixels(raster):
    """Pixels per value, the value as text."""
    values, counts = np.unique(raster, return_counts=True)
    return {str(int(value)): int(count) for value, count in zip(values, counts, strict=True)}


def write_fake_campaign(root, size=64):
    """A dataset of three events of two splits, of which the last has another GSD: what a mixture gives."""
    kinds = (("train", "testville", 0, GSD), ("train", "testville", 1, GSD), ("test-city", "othertown", 0, 2 * GSD))
    events, shards, store = [], [], open_store(root)
    numbers = {"train": 0, "test-city": 0}
    for split, city, seed, gsd in kinds:
        name = f"{city}-flood-{seed}"
        content = fake_recipe(2, size, seed).model_dump(mode="json")
        content["city"]["name"], content["output"]["gsd"] = city, gsd
        events.append(Event(Recipe.model_validate(content), HASH, split, name))
        samples = [with_event(fake_sample(i, size, seed, split, city), name, gsd) for i in range(2)]
        shards.append(write_shard(store, f"{split}-{numbers[split]:06d}.tar", samples, HASH))
        numbers[split] += 1
    campaign = Campaign("fake", 7, tuple(events), {"name": "fake", "count": 6, "seed": 7})
    return finish_dataset(root, campaign, shards, VERSIONS, SOURCES)


def with_event(sample, event, gsd=GSD):
    """The sample as of an event of a mixture."""
    record = sample.record
    grid = record.grid.model_copy(update={"gsd": gsd})
    return Sample(
        record.model_copy(update={"key": f"{event}-{record.index:06d}", "event": event, "grid": grid}),
        sample.images,
        sample.labels,
    )
