"""Sentences that several documents of a release share, each made from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mage.generator.release.licences import SourceTerms
from mage.generator.release.markdown import count, listed, share, span
from mage.generator.release.places import Overlap
from mage.generator.release.publication import Publication
from mage.generator.release.survey import Survey
from mage.scenes.campaign import whole
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.grades import JDS_NAMES
from mage.scenes.parts import PluginPart
from mage.scenes.recipe import Recipe
from mage.scenes.settings import TilesPart

_MODELS = {
    "flood": "published depth-damage functions and water at the walls",
    "earthquake": "published fragility functions",
    "wind": "published fragility functions",
    "fire": "a model of how fire spreads",
}
EVERYWHERE = TilesPart().within
RARE = 0.05  # of the buildings: a grade below that share is called rare


@dataclass(frozen=True, slots=True)
class Words:
    """See the functions below, one a field."""

    summary: str
    made: str
    labelled: str
    inferred: str
    tools: str
    sampling: str
    spatial_bias: str
    biases: list[str]
    limits: list[str]
    uses: list[str]
    impact: str
    privacy: str
    maintenance: str
    bibtex: str


def recipes_of(manifest: DatasetRecord) -> list[Recipe]:
    """The recipes that a dataset was rendered from, one an event."""
    return [Recipe.model_validate(whole(manifest.recipe, event.recipe)) for event in manifest.events]


def words_for(
    publication: Publication, manifest: DatasetRecord, survey: Survey, sources: Sequence[SourceTerms]
) -> Words:
    """All sentences of a release."""
    return Words(
        summary=_summary(manifest, survey),
        made=_made(manifest, survey, sources),
        labelled=_labelled(survey),
        inferred=_inferred(survey),
        tools=f"MAGE {manifest.versions.get('mage-eo', 'of a version not stated')}",
        sampling=_sampling(manifest, survey),
        spatial_bias=_spatial_bias(survey, sources),
        biases=_biases(survey),
        limits=_limits(manifest, survey),
        uses=[
            "Training and testing methods that map building damage, land cover, flood water, debris and closed roads "
            "from pairs of images, and methods that adapt such models from simulated to real imagery.",
            "Not for stating what happened, or would happen, to a real building: no event in it took place.",
        ],
        impact="Maps of damage steer help. A model that was trained on simulated images alone must be tested on real "
        "events, of the kind and region where it is to be used, before anybody relies on it.",
        privacy=_privacy(sources),
        maintenance=f"Versions are semantic. {publication.heading} {publication.version} never changes; what is wrong "
        "with it is put right in a later version.",
        bibtex=_bibtex(publication),
    )


def hazard_names(survey: Survey) -> list[str]:
    """Kinds of disaster in the dataset, a chain of them as ``earthquake and then fire``."""
    return [hazard.replace("-", " and then ") for hazard in sorted(survey.all.hazards)]


def _summary(manifest: DatasetRecord, survey: Survey) -> str:
    whole = survey.all
    return (
        f"{count(whole.samples, 'pair')} of simulated images ({manifest.size} px at "
        f"{span(min(survey.gsd), max(survey.gsd))} m) "
        f"before and after disasters ({listed(hazard_names(survey))}), with exact label rasters and vectors of "
        f"{count(whole.buildings, 'building')} in {count(len(whole.cities), 'city', 'cities')}."
    )


def _made(manifest: DatasetRecord, survey: Survey, sources: Sequence[SourceTerms]) -> str:
    drawn = [s.name for s in sources if s.drawn]
    given = [s.name for s in sources if not s.drawn]
    origin = [f"built from data ({listed(given)})"] if given else []
    origin += ["drawn by rules from a random seed"] if drawn else []
    text = (
        f"Cities are {listed(origin or ['of a source that is not stated'])}, and struck by simulated disasters "
        f"({listed(hazard_names(survey))})."
    )
    if "bpy" not in manifest.versions:
        return text
    engines = sorted({recipe.render.engine for recipe in recipes_of(manifest)})
    named = listed({"cycles": "Cycles (path tracing)", "eevee": "EEVEE (rasterising)"}[e] for e in engines)
    angles = survey.ranges["off_nadir_angle"]
    view = "from nadir" if angles.high == 0 else f"{span(angles.low, angles.high)}° off nadir"
    return (
        f"{text} Both dates are rendered in Blender {manifest.versions['bpy']} with {named}, {view}, and then passed "
        f"through "
        "the model of a sensor (blur, noise, stretch to 8 bit)."
    )


def _labelled(survey: Survey) -> str:
    text = (
        "No person drew a label. Every raster holds what the simulated scene has at the centre of each pixel, never "
        "blended. Damage is drawn, building by building, from the probabilities that the hazard's model gives; EMS-98 "
        "is "
        "stored, physical and as seen from above, and the Joint Damage Scale of xBD is derived from what is seen, from "
        "burning and from water at the walls."
    )
    if survey.annotated:
        text += (
            f" {count(survey.annotated, 'sample')} also hold outlines and grades as an annotator would have drawn them "
            "(the rasters named annotated): these are simulated too, with deliberate errors."
        )
    return text


def _inferred(survey: Survey) -> str:
    if not survey.inferred:
        return "Nothing was inferred: all that the scenes hold was in their sources, or was drawn with the city."
    parts = [
        f"{name} (in {number:,} of {survey.all.samples:,} samples)" for name, number in sorted(survey.inferred.items())
    ]
    return (
        f"What no source of a city holds was made up by rules: {listed(parts)}. Each sample's JSON says so under "
        f"inferred."
    )


def _sampling(manifest: DatasetRecord, survey: Survey) -> str:
    whole, recipes = survey.all, recipes_of(manifest)
    text = (
        f"Tiles of {manifest.size} px lie around buildings, streets or tents, taken in turn all over a city; a place "
        "that the disaster hardly reaches is passed over, up to eight times, so harm is commoner here than in a whole "
        "city."
    )
    if any(recipe.tiles.within != EVERYWHERE for recipe in recipes):
        text += " Where splits share a city, each has its own part of the ground."
    if balanced := sum(recipe.tiles.damaged is not None for recipe in recipes):
        text += (
            f" In {balanced:,} of {count(len(recipes), 'event')} tiles with damage are sought out, up to a set share."
        )
    return f"{text} {share(whole.damaged_samples, whole.samples)} of the samples hold a damaged building."


def _spatial_bias(survey: Survey, sources: Sequence[SourceTerms]) -> str:
    cities = [f"{name} ({number:,})" for name, number in sorted(survey.all.cities.items())[:20]]
    more = len(survey.all.cities) - len(cities)
    text = f"Samples by city: {listed(cities)}{f' and {more} further cities' if more > 0 else ''}."
    if all(source.drawn for source in sources):
        text += " All of them are invented: no real place is represented."
    return text


def _biases(survey: Survey) -> list[str]:
    whole = survey.all
    found = []
    for grade, name in enumerate(JDS_NAMES):
        part = whole.jds[grade] / whole.buildings if whole.buildings else 0.0
        if not whole.jds[grade]:
            found.append(f"No building has the grade {name}.")
        elif part < RARE:
            found.append(f"The grade {name} is rare: {share(whole.jds[grade], whole.buildings)} of the buildings.")
    if whole.jds[0]:
        found.append(f"{share(whole.jds[0], whole.buildings)} of the buildings are undamaged ({JDS_NAMES[0]}).")
    most, number = whole.hazards.most_common(1)[0]
    found.append(f"{share(number, whole.samples)} of the samples are of one kind of disaster ({most}).")
    return found


def _limits(manifest: DatasetRecord, survey: Survey) -> list[str]:
    found = [
        "Images are simulated: materials, light and sensors are models, and a model trained on them meets a gap to "
        "real imagery.",
        *_damage_models(recipes_of(manifest)),
        "The crosswalk from EMS-98 to other scales is a proposal of this project, since no published one exists.",
    ]
    veils = {"cloud": "cloud_cover", "smoke": "smoke"}
    thick = [
        f"{name} (up to {100 * survey.ranges[k].high:.0f} %)" for name, k in veils.items() if survey.ranges[k].high
    ]
    if thick:
        found.append(f"Over some tiles lies {listed(thick)}, which hides what labels still tell; cloud has a raster.")
    if survey.hidden:
        found.append(
            f"{share(survey.hidden, survey.all.buildings)} of the buildings show less than half of their roof in the "
            f"image "
            "after, beneath crowns, vehicles, bridges or debris; roof_seen_post tells which, and no label is left out "
            "for it."
        )
    if len(survey.splits) == 1:
        found.append("There is one split: nothing is held out, so figures measured on it say nothing of other places.")
    for pair in survey.overlaps:
        found += _shared(pair)
    return found


def _damage_models(recipes: Sequence[Recipe]) -> list[str]:
    """What damage follows, by the hazards that there are."""
    parts = [part for recipe in recipes for part in recipe.hazards]
    named = {part.kind: _MODELS[part.kind] for part in parts if part.kind in _MODELS}
    found = []
    if named:
        found.append(
            f"Damage follows models ({listed(dict.fromkeys(named.values()))}) that describe many buildings at once "
            f"and no "
            "single one; how a grade looks from above is a model of this project."
        )
    own = sorted({part.function for part in parts if isinstance(part, PluginPart)})
    if own:
        found.append(f"Some damage is by the publisher's own code: {listed(own)}.")
    odd = sum(any(getattr(p, "mode", "physical") != "physical" for p in recipe.hazards) for recipe in recipes)
    if odd:
        found.append(
            f"In {odd:,} of {count(len(recipes), 'event')} damage is drawn without regard to how hard the hazard "
            f"struck "
            "(mode random or decorrelated), so that appearance alone tells it."
        )
    return found


def _shared(pair: Overlap) -> list[str]:
    both = f"{pair.first} and {pair.second}"
    said = []
    if pair.overlapping:
        said.append(f"{pair.overlapping:,} samples of {pair.first} show ground that {pair.second} shows too.")
    if pair.cities:
        said.append(f"{both} share cities: {listed(pair.cities[:10])}{' and more' if len(pair.cities) > 10 else ''}.")
    if pair.events:
        said.append(f"{both} share events: {listed(pair.events[:10])}{' and more' if len(pair.events) > 10 else ''}.")
    return said


def _privacy(sources: Sequence[SourceTerms]) -> str:
    text = "The images show no real person or vehicle."
    if any(not source.drawn for source in sources):
        text += (
            " Buildings of real cities carry their source's identifier (source_id), so that a simulated grade can be "
            "traced "
            "to a real building; it says nothing of that building."
        )
    return text


def _bibtex(publication: Publication) -> str:
    doi = f", doi = {{{publication.doi}}}" if publication.doi else ""
    key = "".join(sign for sign in publication.name if sign.isalnum()).lower()
    return (
        f"@misc{{{key}, title = {{{publication.heading}}}, author = {{{' and '.join(publication.creators)}}}, "
        f"year = {{{publication.date[:4]}}}, note = {{Version {publication.version}}}{doi}}}"
    )
