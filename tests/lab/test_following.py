"""A log is read as it grows."""

from pathlib import Path

from tests.lab.following import Followed


def test_half_a_line_counts_as_one_or_a_line_is_told_twice_or_never(tmp_path: Path) -> None:
    followed = Followed(path := tmp_path / "log")
    assert followed.new() == []
    with path.open("wb", buffering=0) as log:
        log.write(b"one\ntw")
        assert followed.new() == [b"one"]
        assert followed.new() == []
        log.write(b"o")
        assert followed.new() == []
        log.write(b"\n\nfour\n")
        assert followed.new() == [b"two", b"", b"four"]
        assert followed.new() == []
