"""What ``mage map`` takes, an option each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mage.learning import names

Post = Annotated[Path, typer.Option(help="The image after the event: GeoTIFF, PNG or JPEG.")]
Out = Annotated[Path, typer.Option(help="Folder for the product.")]
Kind = Annotated[names.Kind, typer.Option(help="What struck, which says what to look for.")]
Pre = Annotated[Path | None, typer.Option(help="The image before it; need not have the same grid.")]
Model = Annotated[Path | None, typer.Option(help="A run, or a saved model.  [default: the one that comes with MAGE]")]
Product = Annotated[
    names.Product, typer.Option(help="Grades of all buildings, the event's outline, or a first estimate by areas.")
]
Buildings = Annotated[
    Path | None, typer.Option(help="Footprints: GeoPackage, GeoJSON, GeoParquet, OSM.  [default: the model's own]")
]
Roads = Annotated[Path | None, typer.Option(help="Roads, likewise.")]
Facilities = Annotated[Path | None, typer.Option(help="Hospitals, fire stations, shelters, likewise.")]
Areas = Annotated[Path | None, typer.Option(help="Administrative areas to rank, likewise.")]
Aoi = Annotated[Path | None, typer.Option(help="The area of interest, likewise.  [default: the images]")]
Terrain = Annotated[Path | None, typer.Option(help="Elevation of the ground, for the depth of floods.")]
Population = Annotated[Path | None, typer.Option(help="A GeoTIFF of people in each pixel.")]
Corrections = Annotated[
    Path | None, typer.Option(help="The product's GeoPackage as an analyst edited it: all is computed anew.")
]
Finetune = Annotated[Path | None, typer.Option(help="Folder for a run: the model, trained further on the corrections.")]
Before = Annotated[
    Path | None, typer.Option(help="Folder of an earlier product, of which this is a monitoring update.")
]
Route = Annotated[str | None, typer.Option(help='Find a way: "x,y x,y", longitudes and latitudes or map coordinates.')]
Name = Annotated[str, typer.Option(help="Of the event, for titles.")]
Activation = Annotated[str, typer.Option(help="Code of the activation, such as EMSR385.")]
AoiNumber = Annotated[int, typer.Option(min=1, max=99, help="Number of the area of interest.")]
PreDate = Annotated[str | None, typer.Option(help="When --pre was sensed, such as 2011-05-20T17:00:00Z.")]
PostDate = Annotated[str | None, typer.Option(help="When --post was sensed.")]
Gsd = Annotated[
    float | None,
    typer.Option(
        help="Metres on the ground that a pixel of the map is wide, such as 0.5: a PNG or JPEG, which does not say so, "
        "needs it.  [default: the image's]"
    ),
]
Bands = Annotated[
    str | None,
    typer.Option(
        help="Of both images: for the model, such as 3,2,1, or by name, such as red=3,green=2,blue=1,nir=4,swir=6. "
        " [default: as the files name them; red, green, blue]"
    ),
]
Reflectance = Annotated[
    float | None,
    typer.Option(
        help="Value that is a reflectance of 1, for water and burn by infrared, such as 10000.  [default: the "
        "files' scales]"
    ),
]
NoRegister = Annotated[bool, typer.Option("--no-register", help="Take the images to lie on each other exactly.")]
Ecc = Annotated[bool, typer.Option("--ecc", help="Refine how they lie by their correlation.")]
Window = Annotated[int, typer.Option(min=64, help="Pixels along a side that the model sees at once.")]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn by lot.")]
