"""Archives: told from other files, never extracted, and fetched from a server on this machine."""

import fcntl
import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from publishing import (
    MNIST_FILES,
    cifar100_members,
    cifar100_python_members,
    mnist_files,
    one_bit_flipped,
    one_line,
    put,
    serving,
    sha256,
    tar_bytes,
    tiny_imagenet_members,
    tree,
    zip_bytes,
)

from uncle_jax.data.publishers import archives
from uncle_jax.data.publishers import formats as readers
from uncle_jax.data.publishers.archives import (
    Archive,
    Found,
    check,
    download,
    locate,
    open_tar,
    open_zip,
)
from uncle_jax.errors import UncleError

HINT = "add --accept x"


def archive_of(
    raw: bytes, name: str = "x.tar.gz", url: str = "", contents: tuple = (), algorithm="sha256"
) -> Archive:
    """The archive whose publisher hands out `raw`."""
    checksum = f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"
    return Archive(name, url + name, len(raw), checksum, contents)


# --------------------------------------------------------------------------------------------------
# Told from other files


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_with_the_publishers_checksum_is_the_publishers(tmp_path, algorithm):
    raw = tar_bytes(cifar100_members(2, 2))
    path = put(tmp_path, {"x.tar.gz": raw})["x.tar.gz"]
    archive = archive_of(raw, algorithm=algorithm)
    assert check(archive, path, False, HINT) == Found(path, archive.checksum, "publisher")


def test_another_file_under_the_name_is_refused_with_both_checksums_and_sizes(tmp_path):
    archive = archive_of(b"what the publisher hands out")
    path = put(tmp_path, {"x.tar.gz": b"another file"})["x.tar.gz"]
    with pytest.raises(UncleError) as caught:
        check(archive, path, False, HINT)
    message = one_line(caught)
    expected, found = sha256(b"what the publisher hands out"), sha256(b"another file")
    for part in (str(path), f"sha256 {found}, 12 bytes", f"expected {expected}, 28 bytes", HINT):
        assert part in message


def test_another_file_is_accepted_on_demand_and_marked_so(tmp_path):
    archive = archive_of(b"what the publisher hands out")
    path = put(tmp_path, {"x.tar.gz": b"another file"})["x.tar.gz"]
    found = check(archive, path, True, HINT)
    assert found == Found(path, f"sha256:{sha256(b'another file')}", "no")


TAR_CONTENTS = tuple(
    (name, f"md5:{hashlib.md5(raw).hexdigest()}")
    for name, raw in cifar100_members(2, 2).items()
    if name.endswith(".bin")
)


def test_a_tar_packed_anew_is_known_by_its_contents(tmp_path):
    publishers = tar_bytes(cifar100_members(2, 2))
    repacked = tar_bytes(dict(reversed(cifar100_members(2, 2).items())), level=9)
    assert repacked != publishers
    path = put(tmp_path, {"x.tar.gz": repacked})["x.tar.gz"]
    found = check(archive_of(publishers, contents=TAR_CONTENTS), path, False, HINT)
    assert found == Found(path, f"sha256:{sha256(repacked)}", "contents")


@pytest.mark.parametrize("packed", [True, False])
def test_a_gzipped_file_packed_anew_or_unpacked_is_known_by_its_content(tmp_path, packed):
    content = b"0123456789" * 50
    archive = archive_of(
        gzip.compress(content, 1), "x.gz", contents=(("", f"sha256:{sha256(content)}"),)
    )
    raw = gzip.compress(content, 9, mtime=5) if packed else content
    path = put(tmp_path, {"x.gz" if packed else "x": raw})["x.gz" if packed else "x"]
    assert check(archive, path, False, HINT).verified == "contents"


@pytest.mark.parametrize("with_contents", [True, False])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "altered", "no member", "no tar"])
def test_a_damaged_archive_is_named_with_both_checksums(tmp_path, damage, with_contents):
    members = cifar100_members(2, 2)
    raw = tar_bytes(members)
    altered = members | {TAR_CONTENTS[0][0]: one_bit_flipped(members[TAR_CONTENTS[0][0]])}
    bad = {
        "flipped": one_bit_flipped(raw),
        "truncated": raw[: len(raw) // 2],
        "altered": tar_bytes(altered),
        "no member": tar_bytes({k: v for k, v in members.items() if k != TAR_CONTENTS[1][0]}),
        "no tar": b"<html>",
    }[damage]
    path = put(tmp_path, {"x.tar.gz": bad})["x.tar.gz"]
    archive = archive_of(raw, contents=TAR_CONTENTS if with_contents else ())
    with pytest.raises(UncleError, match=f"{sha256(bad)}.*expected {sha256(raw)}") as caught:
        check(archive, path, False, HINT)
    assert str(path) in one_line(caught)


def test_an_archive_is_found_in_the_first_folder_that_has_it(tmp_path):
    inner, outer = tmp_path / "mnist", tmp_path
    archive = archive_of(b"", "images.gz")
    assert locate(archive, (inner, outer)) is None
    put(outer, {"images": b""})  # unpacked
    assert locate(archive, (inner, outer)) == outer / "images"
    put(outer, {"images.gz": b""})
    assert locate(archive, (inner, outer)) == outer / "images.gz"
    put(inner, {"images": b""})
    assert locate(archive, (inner, outer)) == inner / "images"


def test_an_unpacked_tar_is_not_taken_for_the_archive(tmp_path):
    put(tmp_path, {"x.tar": b"", "x": b""})
    assert locate(archive_of(b"", "x.tar.gz"), (tmp_path,)) is None


# --------------------------------------------------------------------------------------------------
# Read without extracting


OUTSIDE = ["../evil", "/evil", "a/../../evil", "..\\evil", "a/.."]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_tar_with_a_member_that_points_outside_is_refused(tmp_path, name):
    members = cifar100_members(2, 2) | {name: b"evil"}
    paths = put(tmp_path / "in", {"x.tar.gz": tar_bytes(members)})
    before = tree(tmp_path)
    with pytest.raises(UncleError, match="points outside") as caught:
        readers.read_cifar100_binary(paths)
    assert repr(name) in one_line(caught)
    assert tree(tmp_path) == before
    assert not Path("/evil").exists()


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_zip_with_a_member_that_points_outside_is_refused(tmp_path, name):
    paths = put(tmp_path / "in", {"x.zip": zip_bytes(tiny_imagenet_members() | {name: b"evil"})})
    before = tree(tmp_path)
    with pytest.raises(UncleError, match="points outside") as caught:
        readers.read_tiny_imagenet(paths)
    assert repr(name) in one_line(caught)
    assert tree(tmp_path) == before
    assert not Path("/evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_to_a_file_outside_is_not_followed(tmp_path, kind):
    put(tmp_path, {"secret": b"\0" * 3074})
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for member in ("train", "test"):
            info = tarfile.TarInfo(f"cifar-100-binary/{member}.bin")
            info.type, info.linkname = kind, str(tmp_path / "secret")
            tar.addfile(info)
    paths = put(tmp_path, {"x.tar.gz": file.getvalue()})
    with pytest.raises(UncleError, match=r"lacks the member cifar-100-binary/train\.bin"):
        readers.read_cifar100_binary(paths)


def test_reading_extracts_nothing(tmp_path):
    files = {
        "b.tar.gz": tar_bytes(cifar100_members(2, 2)),
        "p.tar.gz": tar_bytes(cifar100_python_members(2, 2)),
        "t.zip": zip_bytes(tiny_imagenet_members()),
    }
    paths = put(tmp_path, files)
    for reader, name in (
        (readers.read_cifar100_binary, "b.tar.gz"),
        (readers.read_cifar100_python, "p.tar.gz"),
        (readers.read_tiny_imagenet, "t.zip"),
    ):
        splits = reader({name: paths[name]})
        assert len(list(splits.train)) * len(list(splits.test)) > 0
    assert tree(tmp_path) == files


def test_a_missing_member_is_named_with_its_archive(tmp_path):
    paths = put(tmp_path, {"x.tar": tar_bytes({"a": b"1"}), "x.zip": zip_bytes({"a": b"1"})})
    for opened, path in ((open_tar, paths["x.tar"]), (open_zip, paths["x.zip"])):
        with opened(path) as archive:
            assert archives.read_member(archive, "a") == b"1"
            with pytest.raises(UncleError, match=f"{path} lacks the member b;"):
                archives.read_member(archive, "b")


@pytest.mark.parametrize("raw", [b"", b"no archive", b"\x1f\x8b\x08", b"PK\x03\x04"])
@pytest.mark.parametrize("opened", [open_tar, open_zip])
def test_what_is_no_archive_is_told_in_a_line(tmp_path, opened, raw):
    path = put(tmp_path, {"x": raw})["x"]
    with pytest.raises(UncleError, match=f"{path} is damaged") as caught, opened(path):
        pass
    one_line(caught)


# --------------------------------------------------------------------------------------------------
# Fetched


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(archives, "BLOCK", 1000)  # several blocks, so several calls of progress


RAW = tar_bytes(cifar100_members(4, 2))  # of random pixels: hardly smaller than they are
PART = "x.tar.gz.part"


def test_a_fresh_download_gives_the_file_and_tells_progress(tmp_path):
    told = []
    with serving({"x.tar.gz": RAW}) as server:
        path = download(
            archive_of(RAW, url=server.url), tmp_path / "new", lambda *all_: told.append(all_)
        )
    assert path == tmp_path / "new" / "x.tar.gz"
    assert tree(tmp_path) == {"new/x.tar.gz": RAW}
    assert server.asked == [None]
    assert {(name, total) for name, _, total in told} == {("x.tar.gz", len(RAW))}
    done = [n for _, n, _ in told]
    assert done == sorted(set(done))
    assert done[0] == 1000
    assert done[-1] == len(RAW)


def test_a_download_goes_on_where_it_stopped(tmp_path):
    put(tmp_path, {PART: RAW[:5000]})
    told = []
    with serving({"x.tar.gz": RAW}) as server:
        download(archive_of(RAW, url=server.url), tmp_path, lambda *all_: told.append(all_[1]))
    assert server.asked == ["bytes=5000-"]
    assert server.sent == len(RAW) - 5000
    assert told[0] == 6000
    assert tree(tmp_path) == {"x.tar.gz": RAW}


def test_a_server_without_ranges_sends_it_all_again(tmp_path):
    put(tmp_path, {PART: b"!" * 5000})
    told = []
    with serving({"x.tar.gz": RAW}, ranges=False) as server:
        download(archive_of(RAW, url=server.url), tmp_path, lambda *all_: told.append(all_[1]))
    assert server.asked == ["bytes=5000-"]
    assert told[0] == 1000
    assert tree(tmp_path) == {"x.tar.gz": RAW}


def test_a_whole_part_is_taken_without_fetching_it_again(tmp_path):
    put(tmp_path, {PART: RAW})
    with serving({"x.tar.gz": RAW}) as server:
        download(archive_of(RAW, url=server.url), tmp_path)
    assert server.sent == 0
    assert tree(tmp_path) == {"x.tar.gz": RAW}


def test_a_download_that_breaks_off_says_so_and_goes_on_the_next_time(tmp_path):
    with serving({"x.tar.gz": RAW}, break_after=3000) as server:
        archive = archive_of(RAW, url=server.url)
        with pytest.raises(UncleError, match=r"it broke off after 3,000 of ") as caught:
            download(archive, tmp_path)
        one_line(caught)
        assert tree(tmp_path) == {PART: RAW[:3000]}
        server.break_after = -1
        download(archive, tmp_path)
    assert server.asked == [None, "bytes=3000-"]
    assert tree(tmp_path) == {"x.tar.gz": RAW}


def test_an_interrupted_download_goes_on_the_next_time(tmp_path):
    def interrupt(name, done, total):
        if done == 2000:
            raise KeyboardInterrupt

    with serving({"x.tar.gz": RAW}) as server:
        archive = archive_of(RAW, url=server.url)
        with pytest.raises(KeyboardInterrupt):
            download(archive, tmp_path, interrupt)
        assert tree(tmp_path) == {PART: RAW[:2000]}
        download(archive, tmp_path)
    assert server.asked[1] == "bytes=2000-"
    assert tree(tmp_path) == {"x.tar.gz": RAW}


@pytest.mark.parametrize("sent", [one_bit_flipped(RAW), b"<html>log in first</html>", RAW + b"!"])
def test_a_wrong_file_from_the_server_is_deleted_and_both_checksums_named(tmp_path, sent):
    with serving({"x.tar.gz": sent}) as server:
        archive = archive_of(RAW, url=server.url)
        with pytest.raises(UncleError, match=f"{sha256(sent)}.*expected {sha256(RAW)}") as caught:
            download(archive, tmp_path)
        assert archive.url in one_line(caught)
        assert tree(tmp_path) == {}


def test_what_another_file_left_behind_is_deleted_and_the_next_try_succeeds(tmp_path):
    put(tmp_path, {PART: b"<html>log in first</html>"})
    with serving({"x.tar.gz": RAW}) as server:
        archive = archive_of(RAW, url=server.url)
        with pytest.raises(UncleError, match=f"expected {sha256(RAW)}"):
            download(archive, tmp_path)
        assert tree(tmp_path) == {}
        download(archive, tmp_path)
    assert tree(tmp_path) == {"x.tar.gz": RAW}


def unreachable(folder: Path, archive: Archive) -> str:
    """The one line of a download that fails; it leaves nothing."""
    with pytest.raises(UncleError) as caught:
        download(archive, folder)
    assert not folder.exists()
    message = one_line(caught)
    for part in (archive.name, archive.url, str(folder), "--data-dir"):
        assert part in message
    return message


def test_a_server_that_is_gone_is_told_with_what_to_do_instead(tmp_path):
    with serving({}) as server:
        archive = archive_of(RAW, url=server.url)
    assert "Connection refused" in unreachable(tmp_path / "new", archive)


def test_a_file_that_the_server_lacks_is_told_with_what_to_do_instead(tmp_path):
    with serving({}) as server:
        archive = archive_of(RAW, url=server.url)
        assert "404" in unreachable(tmp_path / "new", archive)


def test_the_idx_quartet_is_fetched_file_by_file(tmp_path):
    files = mnist_files(3, 2)
    with serving(files) as server:
        for name in MNIST_FILES:
            download(archive_of(files[name], name, server.url), tmp_path)
    assert tree(tmp_path) == files


def test_two_processes_do_not_write_to_one_download(tmp_path):
    with serving({"x.tar.gz": RAW}) as server:
        archive = archive_of(RAW, url=server.url)
        with (tmp_path / PART).open("ab") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(UncleError, match=r"another process is downloading x\.tar\.gz"):
                download(archive, tmp_path)
        assert download(archive, tmp_path).read_bytes() == RAW
