"""A few lines of each log that is known by name, written as its data set writes them, oddities included.

Folders: preset and form -> file name -> lines. A name that ends in .gz or .zst is packed when it is written.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa

SNAP_GOWALLA = (
    "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847\n"
    "0\t2010-10-18T22:17:43Z\t30.2691029532\t-97.7493953705\t420315\n"
    "5\t2010-10-17T23:42:03Z\t30.2557309927\t-97.7633857727\t22847\n"
)
SNAP_BRIGHTKITE = (
    "0\t2010-10-17T01:48:53Z\t39.747652\t-104.99251\t88c46bf20db295831bd2d1718ad7e6f5\n"
    "7\t2010-10-14T18:25:51Z\t39.750469\t-104.999073\t9848afcc62e500a01cf6fbf24b797732f8963683\n"
    "7\t2008-08-14T21:23:55Z\t0.0\t0.0\t00000000000000000000000000000000\n"
    "25\t\t\t\t\n"
)
TSMC_TIME = "Tue Apr 03 18:00:{:02} +0000 2012"
TIST_CHECKINS = (
    "50756\t4f5e3a72e4b053fd6a4313f6\tTue Apr 03 18:00:06 +0000 2012\t240\n"
    "190571\t4b4b87b5f964a5204a9f26e3\tTue Apr 03 18:00:07 +0000 2012\t180\n"
)
TIST_POIS = (
    "4f5e3a72e4b053fd6a4313f6\t55.696132\t37.557842\tCafé\tRU\n"
    "4b4b87b5f964a5204a9f26e3\t41.029717\t28.974420\tTurkish Restaurant\tTR\n"
    "3fd66200f964a52000e71ee3\t40.733596\t-74.003139\tJazz Club\tUS\n"
)
GETNEXT = "user_id,POI_id,POI_catid_code,POI_catname,latitude,longitude,timezone,UTC_time,local_time,trajectory_id\n"
STHGCN = (
    "UserId,PoiId,PoiCategoryId,PoiCategoryName,Latitude,Longitude,TimezoneOffset,UTCTime,UTCTimeOffset,SplitTag,"
    "check_ins_id,pseudo_session_trajectory_id\n"
)


def getnext(month: int) -> str:
    rows = [
        f"1,p{day},7,Bar,40.7,-73.9,-300,2012-0{month}-0{day} 10:00:00+00:00,2012-0{month}-0{day} 05:00:00,1_{month}"
        for day in (1, 2, 3)
    ]
    return GETNEXT + "\n".join(rows) + "\n"


def sthgcn() -> str:
    rows = [
        f"3,{day % 4},9,Bar,35.7,139.6,540,2012-04-{day:02} 01:00:00,2012-04-{day:02} 10:00:00,ignore,{day},{day // 5}"
        for day in range(1, 31)
    ]
    return STHGCN + "\n".join(rows) + "\n"


AMAZON_REVIEWS = (
    '{"reviewerID": "A2SUAM1J3GNN3B", "asin": "0000013714", "reviewerName": "J. McDonald", "helpful": [2, 3], '
    '"reviewText": "I bought this for my husband who plays the piano.", "overall": 5.0, "summary": "Heavenly", '
    '"unixReviewTime": 1252800000, "reviewTime": "09 13, 2009"}\n'
    '{"reviewerID": "A2SUAM1J3GNN3B", "asin": "0000031852", "helpful": [0, 0], "reviewText": "", "overall": 3.0, '
    '"summary": "", "unixReviewTime": 1252900000, "reviewTime": "09 14, 2009"}\n'
)
AMAZON_META_2014 = (
    "{'asin': '0000031852', 'title': \"Girls' Ballet Tutu\", 'price': 3.17, 'imUrl': 'http://e/x.jpg', "
    "'related': {'also_bought': ['B00JHONN1S']}, 'salesRank': {'Toys & Games': 211836}, 'brand': 'Coxlures', "
    "'categories': [['Sports & Outdoors', 'Other Sports', 'Dance']]}\n"
    "{'asin': '0000013714', 'title': 'Hymns', 'categories': [['Books']]}\n"
)
AMAZON_2018 = (
    '{"overall": 5.0, "vote": "2", "verified": true, "reviewTime": "01 1, 2018", "reviewerID": "AUI6WTTT0QZYS", '
    '"asin": "5120053084", "style": {"Size:": "Large"}, "reviewText": "Nice", "summary": "Comfy", '
    '"unixReviewTime": 1514764800}\n'
)
AMAZON_META_2018 = (
    '{"category": ["Clothing", "Shirts"], "tech1": "", "description": ["A shirt"], "fit": "", "title": "Shirt", '
    '"also_buy": [], "brand": "Coxlures", "feature": [], "rank": "", "also_view": [], "main_cat": "Fashion", '
    '"date": "", "price": "", "asin": "5120053084"}\n'
)
AMAZON_2023 = (
    '{"rating": 5.0, "title": "Such a lovely scent", "text": "This spray is nice.", "images": [], '
    '"asin": "B00YQ6X8EO", "parent_asin": "B00YQ6X8EP", "user_id": "AGKHLEW2SOWH", "timestamp": 1588687728923, '
    '"helpful_vote": 0, "verified_purchase": true}\n'
)
AMAZON_META_2023 = (
    '{"main_category": "All Beauty", "title": "Hair Spray", "average_rating": 4.3, "rating_number": 10, '
    '"features": [], "description": ["Made in Germany"], "price": null, "images": [], "store": "Herbivore", '
    '"categories": [], "details": {}, "parent_asin": "B00YQ6X8EP", "bought_together": null}\n'
)
AMAZON_RATINGS_2023 = "user_id,parent_asin,rating,timestamp\n"
YELP_REVIEW = (
    '{"review_id":"KU_O5udG6zpxOg-VcAEodg","user_id":"mh_-eMZ6K5RLWhZyISBhwA","business_id":"XQfwVwDr-v0ZS3_CbbE5Xw",'
    '"stars":3.0,"useful":0,"funny":0,"cool":0,"text":"If you decide to eat here, \\"just\\" be aware\\nof it",'
    '"date":"2018-07-07 22:09:11"}\n'
    '{"review_id":"BiTunyQ73aT9WBnpR9DZGw","user_id":"OyoGAe7OKpv6SyGZT5g77Q","business_id":"7ATYjTIgM3jUlt4UM3IypQ",'
    '"stars":5.0,"useful":1,"funny":0,"cool":1,"text":"I love it","date":"2012-01-03 15:28:18"}\n'
)
YELP_BUSINESS = (
    '{"business_id":"XQfwVwDr-v0ZS3_CbbE5Xw","name":"Turning Point","address":"1460 Bethlehem","city":"North Wales"'
    ',"state":"PA","postal_code":"19454","latitude":40.2101961875,"longitude":-75.2236385919,"stars":3.0,"review_count":169'
    ',"is_open":1,"attributes":{"NoiseLevel":"u\'average\'"},"categories":"Restaurants, Breakfast & Brunch, Food",'
    '"hours":{"Monday":"7:30-15:0"}}\n'
    '{"business_id":"7ATYjTIgM3jUlt4UM3IypQ","name":"Body Cycle","address":"","city":"Philadelphia","state":"PA",'
    '"postal_code":"19119","latitude":39.95,"longitude":-75.17,"stars":5.0,"review_count":144,"is_open":0,'
    '"attributes":null,"categories":null,"hours":null}\n'
)
YELP_USER = (
    '{"user_id":"mh_-eMZ6K5RLWhZyISBhwA","name":"Walker","review_count":585,"yelping_since":"2007-01-25 16:47:26",'
    '"friends":"NSCy54eWehBJyZdG2iE84w, pe42u7DcCH2QmI81NX-8qA"}\n'
)
STEAM_REVIEWS = (
    "{u'username': u'Chaos Syren', u'hours': 0.1, u'products': 41, u'product_id': u'725280', u'page_order': 0, "
    "u'date': u'2017-12-17', u'text': u\"This wouldn't be \\u2605 'fun'\", u'early_access': False, u'page': 1}\n"
    "{u'username': u'\\u2665 Ariman \\u2665', u'hours': 13.2, u'user_id': u'76561198010', u'product_id': u'328100', "
    "u'date': u'2017-08-02', u'text': u'addictive', u'early_access': True, u'page': 1}\n"
)
STEAM_GAMES = (
    "{u'publisher': u'Kotoshiro', u'genres': [u'Action', u'Casual'], u'app_name': u'Lost Summoner Kitty', u'title': "
    "u'Lost Summoner Kitty', u'tags': [u'Strategy'], u'price': 4.99, u'early_access': False, u'id': u'725280'}\n"
    "{u'app_name': u'Log Challenge', u'tags': [u'Indie'], u'price': u'Free to Play', u'id': u'773640'}\n"
)

KNOWN: dict[str, dict[str, str | bytes]] = {
    "foursquare-tsmc/TSMC2014": {
        "dataset_TSMC2014_NYC.txt": (
            "470\t49bbd6c0f964a520f4531fe3\t4bf58dd8d48988d127951735\tCafé\t40.719810\t-74.002581\t-240\t"
            f"{TSMC_TIME.format(9)}\n"
            '979\t4a43c0aef964a520c6a61fe3\t4bf58dd8d48988d1df941735\tBridge "old"\t40.606799\t-74.044169\t-240\t'
            f"{TSMC_TIME.format(25)}\n"
        ).encode("latin-1"),
    },
    "foursquare-tsmc/Kaggle": {
        "dataset_TSMC2014_NYC.csv": "userId,venueId,venueCategoryId,venueCategory,latitude,longitude,timezoneOffset,"
        "utcTimestamp\n"
        f"470,49bbd6c0f964a520f4531fe3,4bf58dd8d48988d127951735,Café,40.719810,-74.002581,-240,{TSMC_TIME.format(9)}\n",
    },
    "foursquare-global/TIST2015": {
        "dataset_TIST2015_Checkins.txt": TIST_CHECKINS,
        "dataset_TIST2015_POIs.txt": TIST_POIS,
        "dataset_TIST2015_Cities.txt": "Cairo\t30.049950\t31.249689\tEG\tEgypt\tNational and provincial capital\n",
    },
    "foursquare-global/WWW2019": {
        "dataset_WWW_Checkins_anonymized.txt": TIST_CHECKINS,
        "raw_POIs.txt.zst": TIST_POIS,
        "dataset_WWW_friendship_old.txt": "15\t595326\n50756\t190571\n",
        "dataset_WWW_friendship_new.txt": "15\t54\n",
    },
    "gowalla/SNAP": {
        "loc-gowalla_totalCheckins.txt.gz": SNAP_GOWALLA,
        "loc-gowalla_edges.txt.gz": "0\t1\n0\t5\n1\t0\n5\t0\n",
    },
    "brightkite/SNAP": {"loc-brightkite_totalCheckins.txt.gz": SNAP_BRIGHTKITE, "Brightkite_edges.txt": "0\t7\n7\t0\n"},
    "nyc-getnext/GETNext": {f"NYC_{name}.csv": getnext(month) for month, name in enumerate(("train", "val", "test"), 1)}
    | {"venues.csv": "venue_id,name,category,description\np1,Joe's,Bar,A bar\np2,Ann's,Café,A café\n"},
    "tky-getnext/GETNext": {
        f"TKY_{name}.csv": getnext(month) for month, name in enumerate(("train", "val", "test"), 1)
    },
    "ca-getnext/GETNext": {
        f"gowalla_{name}.csv": getnext(month).replace(",timezone", ",tz").replace("POI_catname", "category")
        for month, name in enumerate(("train", "val", "test"), 1)
    },
    "sthgcn/sample": {"sample.csv": sthgcn()},
    "sthgcn/California": {
        "dataset_gowalla_ca_ne.csv": "UserId,PoiId,PoiCategoryId,Latitude,Longitude,UTCTime\n"
        + "".join(
            f"8,{place},\"[{{'url': '/categories/89', 'name': 'Craftsman'}}]\",36.1,-115.2,"
            f"2010-0{month}-0{day}T0{place}:00:00Z\n"
            for month in range(1, 10)
            for day in (1, 2)
            for place in (1, 2)
        ),
    },
    "nyc-chrono/blocks": {
        "checkins.csv": "user_idx,poi_idx,cat,lat,lon,unix_s,hour,dow,traj_id,block\n"
        + "".join(f"0,{i % 3},Bar,40.7,-73.9,{1333909229 + i},1,6,1_{i // 5},T{i // 20}\n" for i in range(30)),
    },
    "phoenix-malls/PHO": {
        "data_PHO.csv": "Location_id,POI_id,User_id,TimeStamp,Zone,Latitude,Longitude,Category\n"
        "1275,77,8,Mon Jun 03 15:03:41 +0000 2013,-420,33.434071,-111.994311,Bakery\n",
    },
    "movielens/latest": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n1,10,4.0,1260759179\n",
        "movies.csv": "movieId,title,genres\n31,Dangerous Minds (1995),Drama|Crime\n5,Heat,Action\n",
        "tags.csv": "userId,movieId,tag,timestamp\n1,31,school,1260759144\n",
    },
    "movielens/Kaggle": {
        "rating.csv": '"userId","movieId","rating","timestamp"\n1,31,2.5,"2009-12-14 02:52:24"\n'
        '1,10,4,"2009-12-14 02:52:59"\n',
        "movie.csv": '"movieId","title","genres"\n31,"Dangerous Minds (1995)","Drama|Crime"\n5,"Heat","Action"\n',
    },
    "movielens/1M": {
        "ratings.dat": "1::31::2.5::1260759144\n1::10::4::1260759179\n",
        "movies.dat": "31::Dangerous Minds (1995)::Drama|Crime\n5::Misérables, Les::Action\n".encode("latin-1"),
        "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
    },
    "movielens/10M": {
        "ratings.dat": "1::31::2.5::1260759144\n1::10::4::1260759179\n",
        "movies.dat": "31::Dangerous Minds (1995)::Drama|Crime\n5::Misérables, Les::Action\n",
    },
    "movielens/100K": {
        "u.data": "1\t31\t2.5\t1260759144\n1\t10\t4\t1260759179\n",
        "u.item": (
            "31|Dangerous Minds (1995)|01-Jan-1995||http|0|0|0|0|0|0|1|0|1|0|0|0|0|0|0|0|0|0|0\n"
            "5|Misérables, Les|01-Jan-1995||http|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
        ).encode("latin-1"),
        "u.user": "1|24|M|technician|85711\n",
    },
    "amazon-2014/5-core": {"reviews_Beauty_5.json.gz": AMAZON_REVIEWS, "meta_Beauty.json.gz": AMAZON_META_2014},
    "amazon-2014/ratings": {
        "ratings_Beauty.csv": "A39HTATAQ9V7YF,0205616461,5.0,1369699200\nA3JM6GV9MNOF9X,0558925278,3.0,1355443200\n",
    },
    "amazon-2018/reviews": {"AMAZON_FASHION.json.gz": AMAZON_2018, "meta_AMAZON_FASHION.json.gz": AMAZON_META_2018},
    "amazon-2018/ratings": {
        "AMAZON_FASHION.csv": "5120053084,AUI6WTTT0QZYS,5.0,1514764800\n",
        "meta_AMAZON_FASHION.json": AMAZON_META_2018,
    },
    "amazon-2023/reviews": {"All_Beauty.jsonl.gz": AMAZON_2023, "meta_All_Beauty.jsonl.gz": AMAZON_META_2023},
    "amazon-2023/split": {
        f"Toys_and_Games.{name}.csv": f"{AMAZON_RATINGS_2023}AGKASBHYZPG,B00{name},3.0,145264738{place}000\n"
        for place, name in enumerate(("train", "valid", "test"))
    },
    "amazon-2023/ratings": {
        "Toys_and_Games.csv": f"{AMAZON_RATINGS_2023}AGKASBHYZPGTEPO6LWZPVJWB2BVA,B006GBITXC,3.0,1452647382000\n"
    },
    "yelp/2022": {
        "yelp_academic_dataset_review.json": YELP_REVIEW,
        "yelp_academic_dataset_business.json": YELP_BUSINESS,
        "yelp_academic_dataset_user.json": YELP_USER,
    },
    "steam/reviews": {"steam_reviews.json.gz": STEAM_REVIEWS, "steam_games.json.gz": STEAM_GAMES},
    "lightgcn/gowalla": {
        "train.txt": "0 0 1 2\n1 2 3 \n2 4\n3\n",
        "test.txt": "0 3 4\n1 0\n",
        "item_list.txt": "org_id remap_id\n22847 0\n420315 1\n316637 2\n16516 3\n5535878 4\n",
        "user_list.txt": "org_id remap_id\n0 0\n1 1\n5 2\n9 3\n",
    },
    "recbole/ratings": {
        "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
        "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '242\tKolya "the" film\t1996\tComedy\n302\tL.A. Confidential\t1997\tCrime Film-Noir\n',
        "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "196\t49\tM\twriter\t55105\n",
        "ml-100k.kg": "head_id:token\trelation_id:token\ttail_id:token\nm.1\tfilm.director\tm.2\n",
        "ml-100k.link": "item_id:token\tentity_id:token\n242\tm.1\n",
    },
    "recbole/check-ins": {
        "gowalla.inter": "user_id:token\titem_id:token\ttimestamp:float\tlatitude:float\tlongitude:float\n"
        "0\t22847\t1287532527\t30.2359091167\t-97.7951395833\n1\t420315\t1287440263\t30.2691029532\t-97.7493953705\n",
        "gowalla.net": "source_id:token\ttarget_id:token\n0\t1\n",
    },
    "recbole/no times": {"anime.inter": "user_id:token\titem_id:token\trating:float\n1\t20\t-1\n1\t24\t8\n2\t20\t7\n"},
    "recbole/split": {
        f"beauty.{name}.inter": f"user_id:token\titem_id:token\ttimestamp:float\nu1\ti{place}\t{1287532527 + place}\n"
        for place, name in enumerate(("train", "valid", "test"))
    },
}
"""The folders."""


def write(folder: Path, known: str) -> Path:
    """Write one of the `KNOWN` folders."""
    for name, content in KNOWN[known].items():
        plain = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(_packed(plain, name))
    return folder


def _packed(content: bytes, name: str) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(content)
    if name.endswith(".zst"):
        return bytes(pa.compress(content, "zstd", asbytes=True))
    return content
