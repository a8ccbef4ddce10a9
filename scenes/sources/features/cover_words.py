"""What covers the ground where a source uses words or codes of its own: English, Dutch (BGT), German, CityGML lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mage.scenes.sources.raw import RawFeature

DRIVEN, MARKED, WATER = "driven", "marked", "water"  # uses that are no cover of a land patch

_Rules = tuple[tuple[str, str], ...]
_TELLING = re.compile(r"class|fun[ck]t|usage|material|voorkomen|land_?use|cover|nutzung|species|type")
_SILENT = re.compile(r"waardeonbekend|geenwaarde|unknown|unbekannt|niet-?bgt|transitie|none|null|9999|")

# Rules are tried in their order, each on all that a feature says: what is particular stands above what is general.
_TRAFFIC_WORDS: _Rules = (
    (r"mark(ing|ierung)|markering|zebra|crosswalk", MARKED),
    (r"berm\b|verge|green|groen|grün|grass|gras\b|bankett|embankment|böschung|talud", "grass"),
    (r"parkeer|park(ing|platz|bucht|streifen)|car_?park|stellplatz|lay_?by", "parking"),
    (r"fiets|cycle|radweg|fahrrad|bike", "paved"),
    (r"voet|foot|pedestrian|walk|pavement|gehweg|gehsteig|fu(ß|ss)(weg|g)|stair|treppe|ruiterpad|inrit", "paved"),
    (r"kerb|curb|bordstein|verkeerseiland|island|insel|divider|median|middle_lane|platform", "paved"),
    (r"spoor|rail|gleis|schiene|tram", "ballast"),
    (r"vliegverkeer|runway|taxiway|apron|heliport|rollbahn", "asphalt"),
    (
        r"rijbaan|driv|carriageway|fahrbahn|fahrspur|lane|weg\b|road|street|stra(ß|ss)e|ov-?baan|woonerf|motorway",
        DRIVEN,
    ),
)
# CityGML 2.0, annex C.8: functions of TrafficArea and of AuxiliaryTrafficArea
_TRAFFIC_CODES = {
    **dict.fromkeys(("1", "24", "33", "34", "35", "36"), DRIVEN),
    **dict.fromkeys(("2", "3", "4", "5", "19", "21", "22", "23"), "paved"),
    **dict.fromkeys(("6", "7", "32"), "parking"),
    **dict.fromkeys(("8", "9"), "ballast"),
    **dict.fromkeys(("11", "12", "13", "14", "15", "16", "17", "20"), MARKED),
    **dict.fromkeys(("25", "26", "27", "28"), "asphalt"),
    **dict.fromkeys(("30", "31"), "grass"),
}
_AUXILIARY_CODES = {
    **dict.fromkeys(("1000", "1020", "1200", "1400", "1410"), "grass"),
    **dict.fromkeys(("1010", "1040"), "asphalt"),
    "1100": "parking",
    "1420": "ballast",
    **dict.fromkeys(("1030", "1210", "1220", "1230", "1300", "1600", "1700"), "paved"),
}
# materials that show the ground: CityGML 2.0, annex C.8, and words
_MATERIAL_CODES = {"5": "bare", "6": "ballast", "8": "bare", "9": "sand", "10": "grass"}
_MATERIAL_WORDS: _Rules = (
    (r"onverhard|unpaved|gravel|schotter|kies|soil|dirt|unbefestigt", "bare"),
    (r"sand\b|zand\b", "sand"),
    (r"grass|gras\b|rasen", "grass"),
)

_LAND_WORDS: _Rules = (
    (r"\bwater|gewässer|\briver|\blake|fluss", WATER),
    (r"heester|struik|struweel|shrub|scrub|bush|gebüsch|gehölz|heide|heath|houtwal|hedge|hecke", "scrub"),
    (r"boom(gaard|teelt)|fruit|orchard|vineyard|weinb|obst", "scrub"),
    (r"agrarisch|akker|bouwland|arable|agric|farm|\bcrop|acker|landwirt", "agriculture"),
    (r"bos\b|bosplant|forest|wood|wald|\bhain|grove", "forest"),
    (r"moeras|rietland|kwelder|marsh|\bmoor|swamp|wetland|sumpf", "scrub"),
    (r"strand|duin|zand|sand\b|beach|dune", "sand"),
    (r"sport|pitch|spielfeld|speelveld", "pitch"),
    (r"parkeer|parking|parkplatz|car_?park", "parking"),
    (r"gesloten verharding|asfalt|asphalt", "asphalt"),
    (r"half verhard|onverhard|bare|braak|soil|gravel|unpaved|quarry|mining|dump|halde|brach|unbefestigt", "bare"),
    (r"spoor|\brail|gleis", "ballast"),
    (r"\broad|verkeer|traffic|stra(ß|ss)e", "asphalt"),
    (r"verhard|paved|pavement|\berf\b|square|plein\b|platz\b|terras|yard|\bhof\b|versiegelt|tegel", "paved"),
    (r"groen|gras|grün|green|lawn|meadow|wiese|weide|rasen|park|garden|tuin|garten|cemeter|friedhof|begraaf", "grass"),
    (r"herb|kruid|recreat|leisure|freizeit|undeveloped", "grass"),
)
# CityGML 2.0, annex C.5: class and function of LandUse; of three digits: PLATEAU's kinds of land use
_LAND_CODES = {
    **dict.fromkeys(("1110", "1120", "1100", "3000", "3010", "217"), "grass"),
    **dict.fromkeys(("1060", "1070", "1140", "3080"), "bare"),
    "1130": "pitch",
    **dict.fromkeys(("2000", "2010", "2030", "215"), "asphalt"),
    "2020": "ballast",
    **dict.fromkeys(("2050", "2060"), "paved"),
    **dict.fromkeys(("3020", "201", "202"), "agriculture"),
    **dict.fromkeys(("3030", "3040", "203"), "forest"),
    **dict.fromkeys(("3050", "3060", "3070"), "scrub"),
    **dict.fromkeys(("4000", "4010", "4020", "4030", "4040", "204"), WATER),
}

# OpenStreetMap's values of highway
_STREETS: _Rules = (
    (r"autosnelweg|motorway|autobahn|freeway", "motorway"),
    (r"autoweg|trunk|schnellstra", "trunk"),
    (r"regionale weg|primary|bundesstra|hauptstra|main road|arterial", "primary"),
    (r"secondary|landesstra|landstra|kreisstra", "secondary"),
    (r"tertiary|collector|sammelstra", "tertiary"),
    (r"woonerf|living_street|verkehrsberuhigt|spielstra", "living_street"),
    (r"service|driveway|zufahrt", "service"),
    (r"track|feldweg|forstweg|wirtschaftsweg", "track"),
    (r"lokale weg|residential|wohnstra|anlieger|local|gemeindestra", "residential"),
)
# words, and CityGML 2.0, annex C.9 (class of WaterBody)
_WATERS: _Rules = (
    (r"\bsea\b|\bzee\b|ocean|^1000$", "sea"),
    (r"kanaal|canal|kanal\b|gracht|sloot|greppel|ditch|graben\b|waterway", "canal"),
    (r"\blake|pond|\bplas\b|\bmeer\b|vijver|teich|weiher|\bsee\b|reservoir|watervlakte|basin", "lake"),
    (r"river|rivier|waterloop|watercourse|stream|fluss|fluß|bach\b|beek\b", "river"),
)
_CONIFERS: _Rules = (
    (
        r"conifer|nadel|naald|abies|picea|pinus|taxus|larix|thuja|juniper|cedrus|cupress|sequoia|pseudotsuga|"
        r"\bpine|spruce|\bfir\b|larch|\byew|\bfichte|kiefer|tanne\b|lärche|\bspar\b|^1060$",
        "conifer",
    ),
)
_TRAMS: _Rules = ((r"tram|stra(ß|ss)enbahn|stadtbahn|light_rail", "tram"), (r"metro|subway|u-bahn", "subway"))
_SHRUBS: _Rules = ((r"shrub|bush|strauch|busch|struik|heester|hedge|^1000$|^1080$", "shrub"),)


def traffic_use(feature: RawFeature) -> str | None:
    """What a surface of a street is for: :data:`DRIVEN`, :data:`MARKED` (paint on it) or a cover; None if unknown.

    What is not driven on takes the cover that its material says.
    """
    words = _words(feature.attributes, materials=False)
    auxiliary = feature.role.startswith("Auxiliary")
    codes = _AUXILIARY_CODES if auxiliary else _TRAFFIC_CODES if feature.role else {}
    use = _first(codes, words) or _matched(_TRAFFIC_WORDS, words) or ("paved" if auxiliary else None)
    return bare_cover(feature) or use if use in ("paved", "grass") else use


def bare_cover(feature: RawFeature) -> str | None:
    """The cover of a street's surface that no one has paved; None for others."""
    materials = _words(feature.attributes, materials=True)
    return _first(_MATERIAL_CODES, materials) or _matched(_MATERIAL_WORDS, materials)


def land_cover(attributes: Mapping[str, object]) -> str | None:
    """One of :data:`mage.scenes.city.COVERS`, :data:`WATER`, or None if the source does not tell."""
    words = [*_words(attributes, materials=False), *_words(attributes, materials=True)]
    return _matched(_LAND_WORDS, words) or _first(_LAND_CODES, words)


def street_kind(attributes: Mapping[str, object]) -> str | None:
    """OpenStreetMap's value of ``highway``, or None if the source does not tell."""
    return _matched(_STREETS, _words(attributes, materials=False))


def railway_kind(attributes: Mapping[str, object]) -> str:
    """OpenStreetMap's value of ``railway``: ``tram``, ``subway``, or ``rail`` for all others."""
    return _matched(_TRAMS, _words(attributes, materials=False)) or "rail"


def water_kind(attributes: Mapping[str, object]) -> str | None:
    """``river``, ``lake``, ``canal``, ``sea``, or None if the source does not tell."""
    return _matched(_WATERS, _words(attributes, materials=False))


def is_conifer(attributes: Mapping[str, object]) -> bool:
    """Whether a plant is said to be a conifer."""
    return _matched(_CONIFERS, _words(attributes, materials=False)) is not None


def is_shrub(attributes: Mapping[str, object]) -> bool:
    """Whether a plant is said to be a shrub."""
    return _matched(_SHRUBS, _words(attributes, materials=False)) is not None


def _words(attributes: Mapping[str, object], *, materials: bool) -> list[str]:
    """What attributes that tell about use, or about material, say in lower case."""
    found = []
    for name, value in sorted(attributes.items()):
        name = name.lower()
        if not _TELLING.search(name) or ("material" in name) is not materials:
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str | int | float):
                word = str(item).strip().lower()[:100].removesuffix(".0")
                found += [] if _SILENT.fullmatch(word) else [word]
    return found


def _first(codes: Mapping[str, str], words: Iterable[str]) -> str | None:
    return next((codes[word] for word in words if word in codes), None)


def _matched(rules: _Rules, words: Iterable[str]) -> str | None:
    words = list(words)
    return next((found for pattern, found in rules for word in words if re.search(pattern, word)), None)
