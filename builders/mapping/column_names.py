"""Column names: synonyms of the roles, and checks of mapped columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphrec.errors import MappingError
from graphrec.suggestion import did_you_mean, normalize

SYNONYMS: dict[str, tuple[str, ...]] = {
    "user": (
        "user", "user_id", "uid", "user_idx", "customer", "customer_id", "client_id", "visitor_id", "member_id",
        "account_id", "reviewer_id", "client", "visitor", "member", "username",
        "user_name", "profile_id", "person_id", "passenger_id", "author_id",
    ),
    "item": (
        "item", "item_id", "iid", "poi_id", "poi_idx", "poi", "venue_id", "venue", "movie_id", "product_id", "product",
        "sku", "asin", "article_id", "track_id", "song_id", "book_id", "business_id", "gmap_id", "place_id", "game_id",
        "app_id", "video_id", "content_id", "artist_id", "ad_id", "news_id", "isbn", "station_id", "store_id",
        "article", "track", "song", "book", "movie", "video", "game", "business", "restaurant", "shop", "store",
    ),
    "location": (
        "location", "location_id", "loc_id", "area_id", "zone_id", "cell_id", "region_id",
        "district_id", "place_id", "store_id",
    ),
    "time": (
        "time", "timestamp", "utc_time", "unix_time", "unix_s", "datetime", "date_time", "event_time", "created_at",
        "date", "ts", "unix_review_time", "time_stamp", "check_in_time", "checkin_time", "rated_at", "occurred_at",
        "visited_at", "bought_at", "when", "epoch",
    ),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "longitude", "lng", "long"),
    "utc_offset": ("utc_offset", "timezone_offset", "tz_offset", "offset_minutes", "timezone", "offset", "zone"),
    "kind": (
        "kind", "event", "event_type", "action", "behavior", "behaviour", "behavior_type", "event_name", "interaction",
    ),
    "weight": ("weight", "rating", "stars", "score", "quantity", "count", "overall"),
    "session": ("session", "session_id", "trajectory_id", "traj_id", "visit_id", "trip_id", "basket_id", "order_id"),
    "split": ("split", "subset", "fold"),
    "text": (
        "text", "category", "category_name", "poi_catname", "cat", "cat_name", "genre", "genres", "title", "item_name",
    ),
    "label": (
        "label", "title", "name", "item_name", "product_name", "movie_title", "venue_name", "username", "user_name",
    ),
    "id": ("id", "identifier", "key", "code"),
}  # fmt: skip
"""Column names of each role, the likeliest first; compared by `graphrec.suggestion.normalize`."""
READABLE = (
    "title", "name", "label", "item_name", "product_name", "movie_title", "brand", "category", "categories",
    "category_name", "genre", "genres", "class", "type", "cuisine", "tags", "keywords", "description", "summary",
    "text", "bio", "about",
    "profile", "interests", "occupation", "address", "neighbourhood", "neighborhood", "locality", "city", "features",
)  # fmt: skip
"""Columns of a table that describe a node in words, in the order of a readable text."""


def check_column(column: str, columns: Sequence[str], key: str, where: str) -> None:
    """Raise MappingError, with the most similar name, if ``where`` lacks the column that ``key`` of a mapping names."""
    if column not in columns:
        hint = did_you_mean(column, columns)
        raise MappingError(f"{key}: {where} has no column {column!r}{hint}; it has {', '.join(columns)}")


def match_role(role: str, columns: Sequence[str], mapped: Iterable[str] = ()) -> str | None:
    """The column whose name is a synonym of a role, the likeliest synonym first; None without one."""
    by_name = {normalize(column): column for column in reversed(columns) if column not in set(mapped)}
    return next((by_name[normalize(name)] for name in SYNONYMS[role] if normalize(name) in by_name), None)
