from __future__ import annotations

import argparse

import pytest
from factories.mobility import NOON, TABLES, changed, gtfs_zip, message

from amb247.mobility import api
from amb247.mobility.arguments import add_gtfs_arguments, add_replay_arguments
from amb247.mobility.commands import explain_unreadable, import_gtfs_command, replay_command
from amb247.mobility.errors import FeedNameRefused, UnreadableRecording
from amb247.mobility.models import GtfsVersion

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def run_import(*words) -> int:
    parser = argparse.ArgumentParser()
    add_gtfs_arguments(parser)
    return import_gtfs_command(parser.parse_args([str(word) for word in words]))


def run_replay(*words) -> int:
    parser = argparse.ArgumentParser()
    add_replay_arguments(parser)
    return replay_command(parser.parse_args([str(word) for word in words]))


def test_import_says_what_was_taken(tmp_path, capsys):
    assert run_import(gtfs_zip(tmp_path / "AMB 2026.zip"), "--activate") == 0
    out = capsys.readouterr().out
    assert "importado como versión 1 de «amb-2026»" in out
    assert "7 stop_times" in out
    assert "Servicio del 2026-01-01 al 2026-12-31." in out
    assert "Es la versión activa." in out
    assert run_import(tmp_path / "AMB 2026.zip") == 0
    assert "sin cambios" in capsys.readouterr().out


def test_import_says_what_was_refused_and_what_to_do(tmp_path, capsys):
    bad = gtfs_zip(tmp_path / "bad.zip", changed("stop_times.txt", "06:20:00,", "25:61:00,"))
    assert run_import(bad, "--feed", "amb") == 1
    out = capsys.readouterr().out
    assert "RECHAZADO, no se guardó nada" in out
    assert "arrival_time no es una hora HH:MM:SS. [stop_times.txt, línea 3 · por ejemplo «25:61:00»]" in out
    assert "Con --keep-good se importan las filas buenas" in out
    assert not GtfsVersion.objects.exists()
    assert run_import(bad, "--feed", "amb", "--keep-good") == 0
    assert "Filas rechazadas: 1 stop_times." in capsys.readouterr().out


def test_import_offers_keep_good_only_where_something_is_left(tmp_path, capsys):
    hopeless = gtfs_zip(
        tmp_path / "bad.zip", {"stop_times.txt": TABLES["stop_times.txt"].replace(":00,", ".0,")}
    )
    assert run_import(hopeless) == 1
    assert "--keep-good no alcanza" in capsys.readouterr().out
    assert run_import(hopeless, "--keep-good") == 1


def test_absent_file_is_a_mistake_of_use_and_the_others_are_still_taken(tmp_path, capsys):
    assert run_import(tmp_path / "absent.zip", gtfs_zip(tmp_path / "amb.zip")) == 2
    captured = capsys.readouterr()
    assert "absent.zip no se puede abrir" in captured.err
    assert "importado" in captured.out


def test_replay_ends_with_a_table(tmp_path, capsys):
    content = message({"id": "a"}, {"id": "b", "lat": 0.0, "lon": 0.0}, trip_updates=1)
    (tmp_path / "1.pb").write_bytes(content.SerializeToString())
    assert run_replay(tmp_path / "1.pb", "--speed", "0", "--feed", "amb") == 0
    out = capsys.readouterr().out
    assert "Grabación terminada" in out
    lines = {
        line.rsplit(None, 1)[0].strip(): line.split()[-1]
        for line in out.splitlines()
        if line.startswith("  ") and line.split()[-1].isdigit()
    }
    assert (lines["posiciones recibidas"], lines["tomadas"], lines["rechazadas"], lines["posición 0, 0"]) == (
        "2",
        "1",
        "1",
        "1",
    )


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("a.csv", b"vehicle_id;timestamp;latitude;longitude\n", 1, "sino por «a.csv: ;»"),
        ("a.csv", b"bus,when\n", 1, "--map"),
        ("a.pb", b"<html>", 1, "No es un mensaje GTFS-Realtime"),
        ("a.pb", b"", 1, "vacío"),
    ],
)
def test_replay_of_something_else_says_what_it_is(tmp_path, capsys, name, content, code, words):
    (tmp_path / name).write_bytes(content)
    assert run_replay(tmp_path / name) == code
    assert words in capsys.readouterr().err


def test_replay_of_nothing_is_a_mistake_of_use(tmp_path, capsys):
    assert run_replay(tmp_path / "*.pb") == 2
    assert "Ningún archivo coincide" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["x", "--speed", "-1"], ["x", "--map", "vehicle_id"], ["x", "--separator", "::"], []]
)
def test_bad_arguments_end_with_two(words):
    with pytest.raises(SystemExit) as ended:
        run_replay(*words)
    assert ended.value.code == 2


def test_a_name_that_is_no_slug_is_refused(tmp_path, capsys):
    assert run_import(gtfs_zip(tmp_path / "amb.zip"), "--feed", "Metro Línea") == 2
    assert run_replay(tmp_path, "--feed", "a/b") == 2
    assert "no sirve" in capsys.readouterr().err
    with pytest.raises(FeedNameRefused):
        api.import_gtfs(tmp_path / "amb.zip", feed="../x")


def test_mapping_and_tab_are_understood(tmp_path):
    text = f"interno\ttimestamp\tlat\tlon\nx\t{NOON}\t7.1\t-73.1\n"
    (tmp_path / "a.csv").write_text(text)
    assert (
        run_replay(tmp_path / "a.csv", "--map", "vehicle_id=interno", "--separator", "tab", "--speed", "0")
        == 0
    )


def test_every_reason_has_words():
    for reason in (
        "no_such_file",
        "wrong_separator",
        "missing_columns",
        "truncated_gzip",
        "truncated_message",
        "too_large",
    ):
        words = explain_unreadable(UnreadableRecording("a.pb: 12 bytes", reason=reason))
        assert "a.pb: 12 bytes" in words
        assert words != "a.pb: 12 bytes"
