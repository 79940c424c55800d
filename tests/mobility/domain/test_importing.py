from __future__ import annotations

import pytest
from django.db import connection
from factories.mobility import TABLES, changed, gtfs_zip, shared_data

from amb247.context import api as context
from amb247.mobility import api
from amb247.mobility.domain.tables import table_of, tables_of
from amb247.mobility.errors import FeedUnknown, NoFormerVersion, VersionUnknown
from amb247.mobility.models import GtfsFeed, GtfsTable, GtfsVersion
from amb247.territory.models import AuditEntry

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def feed(tmp_path):
    return gtfs_zip(tmp_path / "amb.zip")


@pytest.fixture
def smaller(tmp_path):
    """The next version: stop B and line P8 are gone, a stop D is new."""
    return gtfs_zip(
        tmp_path / "amb-2.zip",
        {
            "stops.txt": TABLES["stops.txt"].replace("B,Provenza,7.0890,-73.1090,002,0", "D,Cañaveral,7.07,-73.10,004,0"),
            "routes.txt": TABLES["routes.txt"].replace("P8,M,P8,Provenza,3,\n", ""),
            "trips.txt": TABLES["trips.txt"].replace("P8,HABIL,p8-1,0,\n", ""),
            "stop_times.txt": "\n".join(line for line in TABLES["stop_times.txt"].replace(",B,2", ",D,2").splitlines() if "p8" not in line),
        },
    )  # fmt: skip


def ids(kind: str) -> set[str]:
    return {entity["id"].rsplit(":", 1)[1] for entity in context.query(kind)}


def test_import_stores_a_version_with_its_tables(feed):
    report = api.import_gtfs(feed, feed="amb", name="Metrolínea", area_code="68001")
    assert (report.status, report.version, report.activated) == ("imported", 1, False)
    assert report.counts["stop_times"] == 7
    version = GtfsVersion.objects.get()
    assert (version.state, version.feed.name, version.file_name) == ("imported", "Metrolínea", "amb.zip")
    assert set(tables_of(version.pk)) == {name.removesuffix(".txt") for name in TABLES}
    assert table_of(version.pk, "stops", columns=["stop_id", "absent"]).columns == ["stop_id"]
    assert AuditEntry.objects.filter(verb="gtfs.import").count() == 1
    assert context.count_by_type() == {}


def test_tables_are_kept_out_of_compression(feed):
    api.import_gtfs(feed, feed="amb")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = 'mobility_gtfstable'::regclass AND attname = 'content'"
        )
        assert cursor.fetchone()[0] in {"e", b"e"}


def test_importing_twice_changes_nothing(feed, tmp_path):
    first = api.import_gtfs(feed, feed="amb", activate=True)
    before = list(GtfsVersion.objects.values())
    entries, cursor = AuditEntry.objects.count(), context.newest_cursor()
    packed_again = gtfs_zip(tmp_path / "again.zip", folder="x/", compression=0)
    for path in (feed, packed_again):
        report = api.import_gtfs(path, feed="amb", activate=True)
        assert (report.status, report.version, report.sha256) == ("unchanged", 1, first.sha256)
    assert list(GtfsVersion.objects.values()) == before
    assert AuditEntry.objects.count() == entries
    assert context.changes(cursor) == []


def test_refused_feed_leaves_nothing(tmp_path):
    bad = gtfs_zip(tmp_path / "bad.zip", changed("stop_times.txt", "06:20:00,", "25:61:00,"))
    report = api.import_gtfs(bad, feed="amb")
    assert (report.status, report.version) == ("refused", None)
    assert [finding.code for finding in report.findings] == ["bad_time"]
    assert not GtfsFeed.objects.exists()
    assert not GtfsTable.objects.exists()


def test_refused_feed_is_noted_on_a_known_one_until_a_good_one_comes(feed, smaller, tmp_path):
    bad = gtfs_zip(tmp_path / "bad.zip", {"stops.txt": None})
    api.import_gtfs(feed, feed="amb")
    api.import_gtfs(bad, feed="amb")
    assert GtfsFeed.objects.get().last_refusal["file_name"] == "bad.zip"
    api.import_gtfs(smaller, feed="amb")
    assert GtfsFeed.objects.get().last_refusal is None


def test_keep_good_takes_the_rest_and_says_so(tmp_path):
    bad = gtfs_zip(tmp_path / "bad.zip", changed("stop_times.txt", "06:20:00,", "25:61:00,"))
    report = api.import_gtfs(bad, feed="amb", keep_good=True)
    assert (report.status, report.refused_rows, report.counts["stop_times"]) == (
        "imported",
        {"stop_times": 1},
        6,
    )
    again = api.import_gtfs(bad, feed="amb", keep_good=True)
    assert (again.status, again.findings) == ("unchanged", report.findings)


def test_activation_publishes_stops_and_routes(feed):
    api.import_gtfs(feed, feed="amb", name="Metrolínea", activate=True, synthetic=True)
    assert ids("PublicTransportStop") == {"A", "B", "C"}
    stop = context.get("urn:ngsi-ld:PublicTransportStop:amb:A")
    assert stop["location"]["value"]["coordinates"] == [-73.1198, 7.1254]
    assert (stop["name"]["value"], stop["stopCode"]["value"]) == ("Quebradaseca", "001")
    assert (stop["transportationType"]["value"], stop["wheelChairAccessible"]["value"]) == ([3], "1")
    assert stop["synthetic"]["value"] is True
    route = context.get("urn:ngsi-ld:GtfsRoute:amb:T1")
    assert (route["shortName"]["value"], route["routeColor"]["value"]) == ("T1", "00A651")
    assert route["path"]["value"] == {
        "type": "LineString",
        "coordinates": [[-73.1198, 7.1254], [-73.109, 7.089], [-73.051, 6.987]],
    }
    assert (route["headwayPeak"]["value"], route["headwayPeak"]["unitCode"]) == (90.0, "MIN")
    by_stops = context.get("urn:ngsi-ld:GtfsRoute:amb:P8")
    assert by_stops["path"]["value"]["coordinates"] == [[-73.109, 7.089], [-73.1198, 7.1254]]
    assert "headwayPeak" not in by_stops


def test_frequencies_give_the_headway(tmp_path):
    tables = {
        "frequencies.txt": "trip_id,start_time,end_time,headway_secs\nt1-1,05:00:00,08:00:00,480\nt1-1,08:00:00,22:00:00,900\n"
    }
    api.import_gtfs(gtfs_zip(tmp_path / "f.zip", tables), feed="amb", activate=True)
    assert context.get("urn:ngsi-ld:GtfsRoute:amb:T1")["headwayPeak"]["value"] == 8.0


def test_next_version_replaces_the_former(feed, smaller):
    api.import_gtfs(feed, feed="amb", activate=True)
    report = api.import_gtfs(smaller, feed="amb")
    assert ids("PublicTransportStop") == {"A", "B", "C"}
    summary = api.activate_gtfs("amb", report.version)
    assert summary.state == "active"
    assert ids("PublicTransportStop") == {"A", "C", "D"}
    assert ids("GtfsRoute") == {"T1"}
    assert list(GtfsVersion.objects.order_by("number").values_list("state", flat=True)) == [
        "retired",
        "active",
    ]


def test_roll_back_restores_the_former(feed, smaller):
    api.import_gtfs(feed, feed="amb", activate=True)
    api.import_gtfs(smaller, feed="amb", activate=True)
    assert api.roll_back_gtfs("amb").number == 1
    assert ids("PublicTransportStop") == {"A", "B", "C"}
    assert ids("GtfsRoute") == {"T1", "P8"}
    assert api.roll_back_gtfs("amb").number == 2
    verbs = list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == [
        "gtfs.import",
        "gtfs.activate",
        "gtfs.import",
        "gtfs.activate",
        "gtfs.roll_back",
        "gtfs.roll_back",
    ]


def test_activating_the_active_version_changes_nothing(feed):
    api.import_gtfs(feed, feed="amb", activate=True)
    entries, cursor = AuditEntry.objects.count(), context.newest_cursor()
    api.activate_gtfs("amb", 1)
    assert AuditEntry.objects.count() == entries
    assert context.changes(cursor) == []


def test_unchanged_content_may_still_be_activated(feed):
    api.import_gtfs(feed, feed="amb")
    report = api.import_gtfs(feed, feed="amb", activate=True)
    assert (report.status, report.activated) == ("unchanged", True)


def test_activation_that_breaks_leaves_the_former_in_service(feed, smaller, monkeypatch):
    api.import_gtfs(feed, feed="amb", activate=True)
    api.import_gtfs(smaller, feed="amb")

    def broken(*_args, **_options):
        raise RuntimeError("lost")

    monkeypatch.setattr(context, "delete", broken)
    with pytest.raises(RuntimeError):
        api.activate_gtfs("amb", 2)
    assert ids("PublicTransportStop") == {"A", "B", "C"}
    assert GtfsVersion.objects.get(state="active").number == 1


def test_import_that_breaks_leaves_nothing(feed, monkeypatch):
    def broken(*_args, **_options):
        raise RuntimeError("lost")

    monkeypatch.setattr("amb247.mobility.domain.importing.store_tables", broken)
    with pytest.raises(RuntimeError):
        api.import_gtfs(feed, feed="amb")
    assert not GtfsVersion.objects.exists()


def test_unknown_things_are_named(feed):
    with pytest.raises(FeedUnknown):
        api.activate_gtfs("amb", 1)
    api.import_gtfs(feed, feed="amb")
    with pytest.raises(VersionUnknown):
        api.activate_gtfs("amb", 7)
    with pytest.raises(VersionUnknown):
        api.compare_gtfs("amb", 1, 7)
    with pytest.raises(NoFormerVersion):
        api.roll_back_gtfs("amb")
    with pytest.raises(FileNotFoundError):
        api.import_gtfs("absent.zip", feed="amb")


def test_difference_counts_and_names(feed, smaller):
    api.import_gtfs(feed, feed="amb")
    api.import_gtfs(smaller, feed="amb")
    difference = api.compare_gtfs("amb", 1, 2)
    assert (difference.stops.added, difference.stops.removed) == (1, 1)
    assert difference.stops.added_samples == ("D (Cañaveral)",)
    assert (difference.routes.removed_samples, difference.routes.added) == (("P8",), 0)
    assert (difference.trips.removed, difference.trips.added) == (1, 0)


def test_feeds_come_with_versions_in_two_queries(feed, smaller, django_assert_num_queries):
    api.import_gtfs(feed, feed="amb", activate=True)
    api.import_gtfs(smaller, feed="amb")
    api.import_gtfs(feed, feed="otro")
    with django_assert_num_queries(2):
        feeds = api.gtfs_feeds()
    assert [(one.slug, [version.number for version in one.versions]) for one in feeds] == [
        ("amb", [2, 1]),
        ("otro", [1]),
    ]


def test_ids_that_no_urn_can_carry_are_encoded(tmp_path):
    tables = {
        name: text.replace("T1,", '"T 1/ñ",') if name in {"routes.txt", "trips.txt"} else text
        for name, text in TABLES.items()
    }
    api.import_gtfs(gtfs_zip(tmp_path / "odd.zip", tables), feed="amb", activate=True)
    assert context.get("urn:ngsi-ld:GtfsRoute:amb:T%201%2F%C3%B1") is not None


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["cairns", "kuopio", "sacramento_rt", "saopaulo_sptrans_sample", "saskatoon"]
)
def test_real_feeds_are_imported_and_activated(name):
    report = api.import_gtfs(shared_data("mobility", "gtfs", f"{name}.zip"), feed=name, activate=True)
    assert (report.status, report.activated, report.refused_rows) == ("imported", True, {})
    assert context.count("GtfsRoute") == report.counts["routes"]
    assert 0 < context.count("PublicTransportStop") <= report.counts["stops"]
    assert api.import_gtfs(shared_data("mobility", "gtfs", f"{name}.zip"), feed=name).status == "unchanged"
