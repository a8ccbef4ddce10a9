"""What its publisher says of a release: name, version, licence, authors, date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from mage.generator.release.licences import LICENCES, Licence
from mage.scenes.dataset.released import NAME, VERSION
from mage.scenes.errors import DatasetError

DOI = r"10\.\d{4,9}/\S{1,200}"
LONGEST = 4000  # characters of a title or description


@dataclass(frozen=True, slots=True)
class Publication:
    """The publisher's words, checked.

    ``name`` is one word, for folders and repositories; ``title`` is what people read. ``authors`` are persons as
    ``Family, Given``, or organisations by their name. ``date`` is the only date that a release states, ISO 8601.

    Raises:
        DatasetError: a name, version, licence, date or DOI that is none.
    """

    name: str
    version: str
    licence: str
    date: str
    title: str = ""
    description: str = ""
    authors: tuple[str, ...] = ()
    doi: str | None = None

    def __post_init__(self) -> None:
        _match(self.name, NAME, "name", "letters, digits, '.', '_' and '-', such as rotterdam-flood")
        _match(self.version, VERSION, "version", "a semantic version, such as 1.0.0")
        if self.licence not in LICENCES or not LICENCES[self.licence].release:
            good = ", ".join(key for key, licence in LICENCES.items() if licence.release)
            raise DatasetError(
                "a dataset cannot be released under this licence", expected=f"one of {good}", found=self.licence
            )
        try:
            date.fromisoformat(self.date)
        except ValueError:
            raise DatasetError("bad date", expected="YYYY-MM-DD", found=self.date) from None
        _match(self.date, r"^\d{4}-\d{2}-\d{2}$", "date", "YYYY-MM-DD")
        if self.doi is not None:
            _match(self.doi, rf"^{DOI}$", "DOI", "10.NUMBER/NAME, such as 10.5281/zenodo.1234567")
        for what, text in (
            ("title", self.title),
            ("description", self.description),
            *(("author", a) for a in self.authors),
        ):
            if len(text) > LONGEST or any(ord(sign) < 32 for sign in text) or (what == "author" and not text.strip()):
                raise DatasetError(
                    f"bad {what}", expected=f"one line of 1 to {LONGEST} characters", found=repr(text[:80])
                )

    @property
    def terms(self) -> Licence:
        """The licence with what it asks."""
        return LICENCES[self.licence]

    @property
    def heading(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name

    @property
    def creators(self) -> tuple[str, ...]:
        """The authors; where none are named, all who contributed, as one party."""
        return self.authors or (f"{self.heading} contributors",)


def _match(text: str, pattern: str, what: str, expected: str) -> None:
    if not re.fullmatch(pattern, text):
        raise DatasetError(f"bad {what}", expected=expected, found=repr(text[:120]))
