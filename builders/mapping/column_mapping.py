"""Which column plays which role: given as a flat YAML, or guessed from names and contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from builders.mapping.column_names import check_column, match_role
from builders.mapping.column_types import can_play_role, guess_by_contents
from builders.mapping.privacy import Privacy
from builders.mapping.relation_mapping import RelationMapping, check_relation_name
from builders.mapping.timestamps import EPOCHS
from builders.sources.source import Layout
from graphrec.errors import InputError, MappingError
from graphrec.suggestion import did_you_mean

ROLES = (
    "user", "item", "location", "time", "lat", "lon", "utc_offset", "kind", "weight", "session", "split", "text",
)  # fmt: skip
"""What a column of a log can be."""
REQUIRED = ("user", "item", "time")
"""The roles that no log can do without."""
NUMBERS = {"lat": 90.0, "lon": 180.0, "utc_offset": 900.0, "weight": 1e30}
"""Roles that are numbers, and the largest size that one may have: degrees, minutes (no clock is further from UTC)."""


class ColumnMapping(Layout):
    """Roles and the columns that play them, with constants and formats beside them under their own keys."""

    user: str | None = None
    """Who: any id."""
    item: str | None = None
    """What: any id; this is what gets recommended."""
    location: str | None = None
    """Where: any id; without it, cells are made of the coordinates."""
    time: str | None = None
    """When."""
    lat: str | None = None
    """Latitude in degrees."""
    lon: str | None = None
    """Longitude in degrees."""
    utc_offset: str | None = None
    """Minutes from UTC to local time."""
    kind: str | None = None
    """What was done: view, buy, check-in, ..."""
    weight: str | None = None
    """How strong the event is: a rating, a quantity."""
    session: str | None = None
    """Which trajectory, visit or basket of the user it belongs to."""
    split: str | None = None
    """``train``, ``val`` or ``test``."""
    text: str | None = None
    """What the item says in words, where no table of items does."""

    time_format: str = "auto"
    """``auto``, ``iso``, ``epoch_s``, ``epoch_ms``, ``epoch_us`` or a strptime pattern such as ``%d/%m/%Y %H:%M``."""
    utc_offset_constant: int | None = Field(default=None, ge=-900, le=900)
    """Minutes from UTC to local time of every event."""
    kind_constant: str | None = None
    """What was done in every event."""

    item_id: str | None = None
    """Id column of the table of items; likewise ``user_id`` and ``location_id``."""
    item_text: str | None = None
    """Template of an item's text over its table's columns, or over the log's where there is no such table."""
    item_label: str | None = None
    """Column with an item's short name, in its table or else in the log."""
    user_id: str | None = None
    user_text: str | None = None
    user_label: str | None = None
    location_id: str | None = None
    location_text: str | None = None
    location_label: str | None = None

    query: str | None = None
    """Table or SELECT statement, where the log is a database."""
    timeless: bool = False
    """The log has no times: all events of its first file happen at second 0, of its second file at second 1, ..."""

    kinds: dict[str, float] | None = None
    """The kinds of event that are kept, each with what its weights are multiplied by."""
    dates: tuple[str, str] | None = None
    """First moment that is kept and first moment that is not."""
    box: tuple[float, float, float, float] | None = None
    """South, west, north, east in degrees: what lies outside is left out."""
    collapse_repeats: bool = False
    """Of a user's consecutive events on one item, keep the first."""
    session_gap: float | None = Field(default=None, gt=0)
    """Hours without an event after which a new session begins."""
    least_session: int = Field(default=1, ge=1)
    """Fewest events of a session."""
    user_core: int = Field(default=1, ge=1)
    """Fewest events of a user, with `item_core` until both hold."""
    item_core: int = Field(default=1, ge=1)
    """Fewest events of an item."""

    privacy: Privacy = Privacy()
    """What is hidden of people before anything is written; see docs/privacy.md."""
    relations: dict[str, RelationMapping] = Field(default_factory=dict)
    """Social ties, knowledge graph triples and the like, by name; see docs/relations.md."""

    h3_resolution: int | None = Field(default=None, ge=0, le=15)
    """Size of the H3 cells that become locations where the log names none; None: by `h3_events_per_cell`."""
    h3_events_per_cell: int = Field(default=50, ge=1)
    """The finest cells that hold so many events on average are taken."""
    split_by: Literal["time", "files", "column", "user"] | None = None
    """How the split is decided; None: by column if there is a split column, else by time."""
    split_fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of train, val and test among all events in time."""
    split_dates: tuple[str, str] | None = None
    """First moment of val and first moment of test, in place of shares."""
    split_values: dict[str, Literal["train", "val", "test"]] | None = None
    """What the values of the split column mean, if they are not train, val and test."""
    val_from_train: float = Field(default=0.0, ge=0, lt=1)
    """Share of the train events, the last in time, that become val where the log itself has none."""

    @field_validator("split_dates", "dates", mode="before")
    @classmethod
    def _as_text(cls, dates: Any) -> Any:
        """YAML reads an unquoted date as a date."""
        is_list = isinstance(dates, list | tuple)
        return [day.isoformat() if isinstance(day, date) else day for day in dates] if is_list else dates

    @field_validator("time_format")
    @classmethod
    def _known_format(cls, time_format: str) -> str:
        if time_format not in ("auto", "iso", *EPOCHS) and "%" not in time_format:
            raise ValueError(f"auto, iso, {', '.join(EPOCHS)} or a pattern such as %d/%m/%Y %H:%M expected")
        return time_format

    @field_validator("relations")
    @classmethod
    def _known_names(cls, relations: dict[str, RelationMapping]) -> dict[str, RelationMapping]:
        for name in relations:
            check_relation_name(name)
        return relations

    @model_validator(mode="after")
    def _check(self) -> ColumnMapping:
        if any(share < 0 for share in self.split_fractions) or not abs(sum(self.split_fractions) - 1) <= 1e-6:
            raise ValueError(f"split_fractions: three shares that add up to 1 expected, got {self.split_fractions}")
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon: both or neither expected, got one of them")
        for one, other in combinations(REQUIRED, 2):
            if getattr(self, one) is not None and getattr(self, one) == getattr(self, other):
                raise ValueError(f"{one} and {other}: two columns expected, got {getattr(self, one)!r} for both")
        if self.timeless and self.time is not None:
            raise ValueError(f"timeless: a log without times expected, but column {self.time!r} is mapped to 'time'")
        return self

    @staticmethod
    def of(values: Mapping[str, Any], where: str = "mapping") -> ColumnMapping:
        """A mapping from keys and values; MappingError says which key is wrong and what was probably meant."""
        for key in values:
            if key not in ColumnMapping.model_fields:
                hint = did_you_mean(str(key), list(ColumnMapping.model_fields))
                roles = ", ".join(ROLES)
                raise MappingError(f"{where}: unknown key {key!r}{hint} (roles: {roles}; the rest: docs/mapping.md)")
        try:
            return ColumnMapping.model_validate(dict(values))
        except ValidationError as error:
            raise MappingError(f"{where}: {_first_problem(error)}") from None

    @staticmethod
    def load(path: str | Path) -> ColumnMapping:
        """Read a mapping from a flat YAML file."""
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: a mapping in YAML expected ({error})") from error
        except (
            yaml.YAMLError,
            ValueError,
            LookupError,
            AttributeError,
            RecursionError,
        ) as error:  # it lets all these out
            raise MappingError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from None
        if not isinstance(values, dict):
            raise MappingError(f"{path}: a flat YAML such as 'user: user_id' expected, got {type(values).__name__}")
        mapping = ColumnMapping.of(values, str(path))
        relations = {name: _beside(Path(path).parent, given) for name, given in mapping.relations.items()}
        return mapping.model_copy(update={"relations": relations})

    def save(self, path: str | Path) -> None:
        """Write what was set as a flat YAML file."""
        Path(path).write_text(yaml.safe_dump(self.settings(), sort_keys=False, allow_unicode=True), encoding="utf-8")

    def settings(self) -> dict[str, Any]:
        """The keys that differ from their defaults, roles first."""
        found: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        return {key: found[key] for key in sorted(found, key=lambda key: key not in ROLES)}

    def roles(self) -> dict[str, str]:
        """The roles that have a column, with it."""
        return {role: getattr(self, role) for role in ROLES if getattr(self, role) is not None}

    def required(self) -> tuple[str, ...]:
        """The roles that this log cannot do without."""
        return tuple(role for role in REQUIRED if role != "time" or not self.timeless)

    def filled(self, guess: ColumnMapping) -> ColumnMapping:
        """This mapping, with the guess where it says nothing.

        Once a role is given, only the required roles are guessed besides: who maps columns means those columns.
        """
        wanted = self.required() if self.roles() else ROLES
        missing = {role: getattr(guess, role) for role in wanted if getattr(self, role) is None}
        free = {role: column for role, column in missing.items() if column not in self.roles().values()}
        return self.model_copy(update=free)

    def check_columns(self, columns: Sequence[str], where: str) -> None:
        """Raise MappingError if a role's column is not there or a required role has none."""
        for role, column in self.roles().items():
            check_column(column, columns, role, where)
        open_columns = [column for column in columns if column not in self.roles().values()]
        for role in self.required():
            if getattr(self, role) is None:
                raise MappingError(
                    f"{where}: no column looks like the {role}; it has {', '.join(columns)}; "
                    f"say which in a mapping, such as '{role}: {[*open_columns, columns[0]][0]}'"
                )


def _beside(folder: Path, relation: RelationMapping) -> RelationMapping:
    """A relation whose files are looked for in the mapping's folder first."""
    files = {key: getattr(relation, key) for key in ("file", "links")}
    found = {key: str(folder / file) for key, file in files.items() if file and (folder / file).exists()}
    return relation.model_copy(update=found)


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return message
    return f"{first['loc'][0]}: {message}, got {first['input']!r}"


def guess_mapping(sample: Mapping[str, Sequence[str]], named: bool = True) -> ColumnMapping:
    """Guess roles from the names of columns and from some of their values.

    Parameters
    ----------
    sample
        Values of the first rows by column.
    named
        Whether the names are the log's own; without, contents alone decide.
    """
    columns = list(sample)
    roles: dict[str, str] = {}
    for role in ROLES if named else ():
        column = match_role(role, columns, roles.values())
        if column is not None and can_play_role(role, sample[column]):
            roles[role] = column
    if ("lat" in roles) != ("lon" in roles):
        roles.pop("lat", None)
        roles.pop("lon", None)
    return ColumnMapping.of({**roles, **guess_by_contents(sample, named, roles)})
