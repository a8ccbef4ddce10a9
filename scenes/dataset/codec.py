"""A sample as files and back: images and label rasters as PNG, its record as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mage.scenes.dataset.fields import IMAGE_FIELDS, label_members
from mage.scenes.dataset.png import LARGEST, decode_png, encode_png
from mage.scenes.dataset.schema import Sample, SampleRecord
from mage.scenes.errors import DatasetError


def encode_sample(sample: Sample) -> list[tuple[str, bytes]]:
    """The members of a sample, ``KEY.FIELD`` and bytes, sorted by name.

    Raises:
        DatasetError: an image or label is missing, is of another shape or dtype than the schema says, or the record
            holds a number that JSON cannot.
    """
    key = sample.record.key
    _check(sample, key)
    named = {name for name, field in label_members(sample.record.label_style).items() if field.unit is None}
    files = {f"{name}.png": encode_png(r, measured=name not in named) for name, r in _rasters(sample).items()}
    files["json"] = encode_record(sample.record)
    return [(f"{key}.{field}", files[field]) for field in sorted(files)]


def decode_sample(read: Callable[[str], bytes], *, file: str = "") -> Sample:
    """The sample whose fields (``pre.png``, ``json`` ...) ``read`` returns; ``file`` is its name in errors.

    Raises:
        DatasetError: a member is damaged or does not fit the record and the schema.
    """
    return decode_rasters(read, decode_record(read("json"), file=f"{file}.json"), file=file)


def decode_rasters(read: Callable[[str], bytes], record: SampleRecord, *, file: str = "") -> Sample:
    """The sample of a record that is decoded already; else as :func:`decode_sample`."""
    largest = _largest(record)

    def _rasters(names: Sequence[str]) -> dict[str, NDArray[Any]]:
        return {n: decode_png(read(f"{n}.png"), largest=largest, file=f"{file}.{n}.png") for n in names}

    bands = _rasters([image.member for image in record.images])
    sample = Sample(record, _rasters(IMAGE_FIELDS), _rasters(list(label_members(record.label_style))), bands)
    _check(sample, file or record.key)
    return sample


def encode_record(record: SampleRecord) -> bytes:
    """A record as compact JSON with sorted keys."""
    try:
        text = json.dumps(record.model_dump(), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise DatasetError(f"the record cannot be written as JSON: {error}", file=record.key) from None
    return text.encode()


def decode_record(data: bytes, *, file: str = "") -> SampleRecord:
    """The record in ``data``; DatasetError names the first mistake."""
    try:
        return SampleRecord.model_validate_json(data)
    except ValidationError as error:
        raise DatasetError(f"not the record of a sample: {first_mistake(error)}", file=file or None) from None


def first_mistake(error: ValidationError) -> str:
    """The first of the mistakes that pydantic found, with its place, and how many more there are."""
    first = error.errors(include_url=False, include_input=False)[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{'.'.join(map(str, first['loc'])) or 'document'}: {first['msg']}{more}"


def raster_kinds(record: SampleRecord) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of each raster that a sample with this record has, by member: images, labels, further sensors."""
    shape = record.grid.rows, record.grid.columns
    kinds: dict[str, tuple[tuple[int, ...], str]] = dict.fromkeys(IMAGE_FIELDS, ((*shape, 3), "uint8"))
    kinds |= {name: (shape, field.dtype) for name, field in label_members(record.label_style).items()}
    return kinds | {i.member: ((i.rows, i.columns), f"uint{i.bits}") for i in record.images}


def decode_raster(read: Callable[[str], bytes], record: SampleRecord, name: str, *, file: str = "") -> NDArray[Any]:
    """One raster of a sample, by its member (``post``, ``pre_class`` ...); the others are not looked at.

    Raises:
        DatasetError: no such raster in a sample with this record, damaged, or of another shape or dtype.
    """
    kinds = raster_kinds(record)
    if name not in kinds:
        raise DatasetError("the sample has no such raster", file=file or record.key, found=repr(name))
    raster = decode_png(read(f"{name}.png"), largest=_largest(record), file=f"{file}.{name}.png")
    _check_kind(raster, kinds[name], name, file or record.key)
    return raster


def _largest(record: SampleRecord) -> int:
    return min(max(record.grid.rows, record.grid.columns), LARGEST)


def _check(sample: Sample, file: str) -> None:
    """Names, shapes and dtypes are those of the schema."""
    kinds = raster_kinds(sample.record)
    labels = set(label_members(sample.record.label_style))
    parts = (sample.images, set(IMAGE_FIELDS)), (sample.labels, labels)
    for found, wanted in (*parts, (sample.bands, set(kinds) - labels - set(IMAGE_FIELDS))):
        if set(found) != wanted:
            odd = ", ".join(sorted(set(found) ^ wanted))
            raise DatasetError("the rasters are not those of the schema", file=file, found=f"missing or odd: {odd}")
    for name, raster in _rasters(sample).items():
        _check_kind(raster, kinds[name], name, file)


def _check_kind(raster: NDArray[Any], kind: tuple[tuple[int, ...], str], name: str, file: str) -> None:
    shape, dtype = kind
    if raster.shape != shape or raster.dtype != np.dtype(dtype):
        raise DatasetError(
            f"{name} does not fit", file=file, expected=f"{dtype} {shape}", found=f"{raster.dtype} {raster.shape}"
        )


def _rasters(sample: Sample) -> dict[str, NDArray[Any]]:
    return {**sample.images, **sample.labels, **sample.bands}
