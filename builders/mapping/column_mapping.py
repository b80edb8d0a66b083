"""Roles of the columns of a log: declared in a flat YAML file, or guessed from names and values."""

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
from builders.mapping.relation_mapping import RelationMapping, RelationName
from builders.mapping.timestamps import EPOCHS
from builders.sources.source import Layout
from graphrec.errors import InputError, MappingError
from graphrec.suggestion import did_you_mean

ROLES = (
    "user", "item", "location", "time", "lat", "lon", "utc_offset", "kind", "weight", "session", "split", "text",
)  # fmt: skip
"""Roles of a column of a log."""
REQUIRED = ("user", "item", "time")
"""Required roles."""
NUMBERS = {"lat": 90.0, "lon": 180.0, "utc_offset": 900.0, "weight": 1e30}
"""Numeric roles, with their largest absolute values: degrees, minutes from UTC."""


class ColumnMapping(Layout):
    """Columns of the roles, constants, formats, filters and the split of a log."""

    user: str | None = None
    """User id."""
    item: str | None = None
    """Item id; items are recommended."""
    location: str | None = None
    """Location id; without it, locations are H3 cells of the coordinates."""
    time: str | None = None
    """Time of the event."""
    lat: str | None = None
    """Latitude in degrees."""
    lon: str | None = None
    """Longitude in degrees."""
    utc_offset: str | None = None
    """Minutes from UTC to local time."""
    kind: str | None = None
    """Event type: view, buy, check-in, ..."""
    weight: str | None = None
    """Weight of the event: a rating, a quantity."""
    session: str | None = None
    """Session id: trajectory, visit or basket of the user."""
    split: str | None = None
    """``train``, ``val`` or ``test``."""
    text: str | None = None
    """Text of the item, where no table of items has it."""

    time_format: str = "auto"
    """``auto``, ``iso``, ``epoch_s``, ``epoch_ms``, ``epoch_us`` or a strptime pattern such as ``%d/%m/%Y %H:%M``."""
    utc_offset_constant: int | None = Field(default=None, ge=-900, le=900)
    """Minutes from UTC to local time of every event."""
    kind_constant: str | None = None
    """Event type of every event."""

    item_id: str | None = None
    """Id column of the table of items; likewise ``user_id`` and ``location_id``."""
    item_text: str | None = None
    """Template of an item's text over the columns of its table, or of the log without one."""
    item_label: str | None = None
    """Column of an item's display name, in its table or else in the log."""
    user_id: str | None = None
    user_text: str | None = None
    user_label: str | None = None
    location_id: str | None = None
    location_text: str | None = None
    location_label: str | None = None

    query: str | None = None
    """Table or SELECT statement of a database."""
    timeless: bool = False
    """Whether the log has no times: events of its first file are at second 0, of its second file at second 1, ..."""

    kinds: dict[str, float] | None = None
    """Event types that are kept, each with the factor of its weights."""
    dates: tuple[str, str] | None = None
    """Start of the kept interval, and its end, exclusive."""
    box: tuple[float, float, float, float] | None = None
    """South, west, north, east in degrees; events outside are dropped."""
    collapse_repeats: bool = False
    """Whether only the first of a user's consecutive events on one item is kept."""
    session_gap: float | None = Field(default=None, gt=0)
    """Hours without an event between two sessions."""
    least_session: int = Field(default=1, ge=1)
    """Minimum number of events of a session."""
    user_core: int = Field(default=1, ge=1)
    """Minimum number of events of a user, repeated with `item_core` until both hold (k-core)."""
    item_core: int = Field(default=1, ge=1)
    """Minimum number of events of an item."""

    privacy: Privacy = Privacy()
    """Anonymization options; see docs/privacy.md."""
    relations: dict[RelationName, RelationMapping] = Field(default_factory=dict)
    """Social ties, knowledge graph triples and the like, by name; see docs/relations.md."""

    h3_resolution: int | None = Field(default=None, ge=0, le=15)
    """H3 resolution of the cells that are locations without a location id; None: by `h3_events_per_cell`."""
    h3_events_per_cell: int = Field(default=50, ge=1)
    """Mean number of events per cell; the finest resolution with at least so many is taken."""
    split_by: Literal["time", "files", "column", "user"] | None = None
    """Method of the split; None: by column if there is a split column, else by time."""
    split_fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of train, val and test among all events in time order."""
    split_dates: tuple[str, str] | None = None
    """Start of val and start of test, in place of shares."""
    split_values: dict[str, Literal["train", "val", "test"]] | None = None
    """Splits of the values of the split column, if these are not train, val and test."""
    val_from_train: float = Field(default=0.0, ge=0, lt=1)
    """Share of the train events, the last in time, that become val if the log has none."""

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
        """A mapping from keys and values; MappingError names an invalid key and a similar valid one."""
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
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:  # of safe_load
            raise MappingError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from None
        if not isinstance(values, dict):
            raise MappingError(f"{path}: a flat YAML such as 'user: user_id' expected, got {type(values).__name__}")
        mapping = ColumnMapping.of(values, str(path))
        relations = {name: _resolved(Path(path).parent, relation) for name, relation in mapping.relations.items()}
        return mapping.model_copy(update={"relations": relations})

    def save(self, path: str | Path) -> None:
        """Write the settings as a flat YAML file."""
        Path(path).write_text(yaml.safe_dump(self.settings(), sort_keys=False, allow_unicode=True), encoding="utf-8")

    def settings(self) -> dict[str, Any]:
        """The keys that differ from their defaults, roles first."""
        values: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        return {key: values[key] for key in sorted(values, key=lambda key: key not in ROLES)}

    def roles(self) -> dict[str, str]:
        """The mapped roles with their columns."""
        return {role: getattr(self, role) for role in ROLES if getattr(self, role) is not None}

    def required(self) -> tuple[str, ...]:
        """The required roles of this log."""
        return tuple(role for role in REQUIRED if role != "time" or not self.timeless)

    def filled(self, guess: ColumnMapping) -> ColumnMapping:
        """This mapping with guessed roles in place of missing ones.

        If any role is mapped, only required roles are guessed: the other columns are unmapped on purpose.
        """
        roles = self.required() if self.roles() else ROLES
        missing = {role: getattr(guess, role) for role in roles if getattr(self, role) is None}
        free = {role: column for role, column in missing.items() if column not in self.roles().values()}
        return self.model_copy(update=free)

    def check_columns(self, columns: Sequence[str], where: str) -> None:
        """Raise MappingError if a mapped column is missing or a required role has none."""
        for role, column in self.roles().items():
            check_column(column, columns, role, where)
        open_columns = [column for column in columns if column not in self.roles().values()]
        for role in self.required():
            if getattr(self, role) is None:
                raise MappingError(
                    f"{where}: no column looks like the {role}; it has {', '.join(columns)}; "
                    f"name it in a mapping, such as '{role}: {[*open_columns, columns[0]][0]}'"
                )


def _resolved(folder: Path, relation: RelationMapping) -> RelationMapping:
    """A relation with its files resolved in the mapping's folder, if they exist there."""
    files = {key: getattr(relation, key) for key in ("file", "links")}
    paths = {key: str(folder / file) for key, file in files.items() if file and (folder / file).exists()}
    return relation.model_copy(update=paths)


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return message
    return f"{first['loc'][0]}: {message}, got {first['input']!r}"


def guess_mapping(sample: Mapping[str, Sequence[str]], *, named: bool = True) -> ColumnMapping:
    """Guess roles from the names and sample values of columns.

    Parameters
    ----------
    sample
        Values of the first rows, by column.
    named
        Whether the log has column names; without, roles are guessed from values alone.
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
    return ColumnMapping.of({**roles, **guess_by_contents(sample, named=named, mapped=roles)})
