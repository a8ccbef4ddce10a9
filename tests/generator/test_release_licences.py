"""Whether a release's licence keeps what its sources' licences ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.release.licences import LICENCES, SourceTerms, conflicts, recognise, source_terms, warnings
from mage.scenes.errors import DatasetError

RELEASABLE = sorted(key for key, licence in LICENCES.items() if licence.release)


def source(*ids):
    return SourceTerms("city", "file", None, tuple(LICENCES[i] for i in ids), "© X", stated_by_publisher=False)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ODbL-1.0, © OpenStreetMap contributors", ["ODbL-1.0"]),
        ("CC BY 4.0", ["CC-BY-4.0"]),
        ("https://creativecommons.org/licenses/by-sa/4.0/", ["CC-BY-SA-4.0"]),
        ("http://www.creativecommons.org/licenses/by/4.0/deed.en", ["CC-BY-4.0"]),
        ("Creative Commons Zero (CC0 1.0)", ["CC0-1.0"]),
        ("dl-de/by-2-0", ["DL-DE-BY-2.0"]),
        ("CC-BY-4.0, © A and ODbL-1.0, © B", ["CC-BY-4.0", "ODbL-1.0"]),
        ("CC-BY", []),  # of no version
        ("CC BY-NC-ND 4.0", ["CC-BY-NC-ND-4.0"]),
        ("ask us", []),
        ("", []),
    ],
)
def test_licences_are_known_by_the_names_that_sources_give_them(words, found):
    assert [licence.id for licence in recognise(words)] == found


@pytest.mark.parametrize("key", sorted(LICENCES))
def test_every_licence_is_known_by_its_own_identifier_and_address(key):
    assert [licence.id for licence in recognise(key)] == [key]
    if LICENCES[key].url.startswith("https://creativecommons.org"):
        assert [licence.id for licence in recognise(LICENCES[key].url)] == [key]


@pytest.mark.parametrize(
    ("ours", "theirs", "kept"),
    [
        ("CC0-1.0", "CC0-1.0", True),
        ("CC-BY-4.0", "CC0-1.0", True),
        ("CC0-1.0", "CC-BY-4.0", False),
        ("ODC-By-1.0", "CC-BY-4.0", True),
        ("CC-BY-NC-4.0", "CC-BY-4.0", True),
        ("CC-BY-4.0", "CC-BY-NC-4.0", False),
        ("CC-BY-4.0", "ODbL-1.0", False),
        ("ODbL-1.0", "ODbL-1.0", True),
        ("ODbL-1.0", "CC-BY-4.0", True),
        ("CC-BY-SA-4.0", "CC-BY-SA-3.0", True),
        ("CC-BY-SA-4.0", "ODbL-1.0", False),
        ("CC-BY-NC-SA-4.0", "CC-BY-SA-4.0", False),
        ("CC-BY-NC-4.0", "CC-BY-NC-ND-4.0", False),
    ],
)
def test_terms_are_kept_or_the_release_is_refused(ours, theirs, kept):
    assert (conflicts(LICENCES[ours], [source(theirs)]) == []) == kept


@given(st.sampled_from(RELEASABLE), st.lists(st.sampled_from(sorted(LICENCES)), max_size=3))
def test_another_source_never_makes_a_refused_licence_good(ours, theirs):
    whole = conflicts(LICENCES[ours], [source(*theirs)])
    assert all(
        reason in whole for k in range(len(theirs)) for reason in conflicts(LICENCES[ours], [source(*theirs[:k])])
    )


@given(st.sampled_from(RELEASABLE))
def test_data_may_always_stay_under_its_own_licence(key):
    assert conflicts(LICENCES[key], [source(key)]) == []


@given(st.text(max_size=200))
def test_no_words_of_a_source_end_in_anything_but_licences_or_one_error(words):
    source_of_them = [{"name": "x", "format": "f", "licence": words}]
    if recognise(words) and all(recognise(part) for part in words.partition(",")[0].split(" and ")):
        assert source_terms(source_of_them, [], {})[0].licences
    else:
        with pytest.raises(DatasetError, match="--source-licence"):
            source_terms(source_of_them, [], {})


def test_of_licences_joined_by_and_every_one_must_be_known():
    with pytest.raises(DatasetError, match="not known"):
        source_terms([{"name": "x", "licence": "CC-BY-4.0 and the vendor's terms"}], [], {})


def test_a_city_that_mage_drew_binds_nobody():
    [terms] = source_terms([{"name": "procedural", "format": "MAGE suburb", "licence": "Apache-2.0"}], [], {})
    assert terms.drawn
    assert conflicts(LICENCES["CC0-1.0"], [terms]) == []


def test_elevation_and_other_files_of_the_recipe_need_a_licence_too():
    with pytest.raises(DatasetError, match=r"dem\.tif states no licence"):
        source_terms([], ["dem.tif"], {})
    [terms] = source_terms([], ["dem.tif"], {"dem.tif": "CC-BY-4.0, © Survey"})
    assert (terms.attribution, terms.stated_by_publisher) == ("© Survey", True)


def test_a_licence_stated_for_no_source_is_a_mistake():
    with pytest.raises(DatasetError, match="for no source"):
        source_terms([{"name": "x", "licence": "CC0-1.0"}], [], {"y": "CC0-1.0"})


def test_share_alike_is_warned_of_and_nothing_else_is():
    assert "share-alike" in warnings([source("ODbL-1.0")])[0]
    assert warnings([source("CC-BY-4.0"), source("CC0-1.0")]) == []
