"""Servers that do what they should not, several commands at once, and disks that are full or may not be written."""

import errno
import io
import itertools
import multiprocessing
import os
import re
import threading
from pathlib import Path

import pytest
from tests.data.mirrors import (
    DEAD,
    GZIPPED,
    SmallFashion,
    SmallKMNIST,
    SmallMNIST,
    but_for_head,
    give_right,
    serving,
)

from lit_dl.data.web import Limits

SHORT_STALL, SHORT = Limits(stall=0.4), Limits(file=0.6)
IMAGES = "train-images-idx3-ubyte.gz"  # the first file that is asked for
RIGHT = GZIPPED[IMAGES]
ZEROS = bytes(1 << 13)


def stall(request):
    threading.Event().wait(3)


def drip(request):
    request.begin(Content_Length=len(RIGHT))
    request.drip((RIGHT[at : at + 1] for at in range(len(RIGHT))), 0.05)


def drip_headers(request):
    request.send(b"HTTP/1.1 200 OK\r\n")
    request.drip(itertools.repeat(b"X: y\r\n"), 0.1)


def drip_chunk_size(request):
    request.begin(Transfer_Encoding="chunked")
    request.drip(itertools.repeat(b"0"), 0.05)


def steady_but_slow(request):
    request.begin(Content_Length=len(RIGHT))
    request.drip((RIGHT[at : at + 9000] for at in range(0, len(RIGHT), 9000)), 0.25)


def drop(request):
    request.begin(Content_Length=len(RIGHT))
    request.send(RIGHT[:1000])


def drop_in_a_chunk(request):
    request.begin(Transfer_Encoding="chunked")
    request.send(b"ffff\r\n" + RIGHT[:1000])


def claim_more(request):
    request.begin(Content_Length=len(RIGHT) + 10)
    request.send(RIGHT)


def claim_less(request):
    request.begin(Content_Length=len(RIGHT) - 10)
    request.send(RIGHT)


def claim_four_terabytes(request):
    request.begin(Content_Length=4 * 10**12)
    request.drip(itertools.repeat(ZEROS), 0.01)


def page(request):
    request.give(b"<!DOCTYPE html><html>Log in to this network</html>")


def junk(request):
    request.give(b"\x1f\x8b\x08" + bytes(range(256)) * 20)


def lying_gzip(request):
    request.give(RIGHT[:-4] + b"\xff\xff\xff\xff")  # the length of what was packed


def nothing(request):
    request.begin("204 No Content")


def no_http(request):
    request.send(RIGHT)


def hang_up(request):
    pass


def go_round(request):
    request.begin("302 Found", Location=request.path)


def go_further(request):
    request.begin("302 Found", Location=f"/1{request.path}")


def to_a_file(request):
    request.begin("302 Found", Location="file:///etc/passwd")


def to_ftp(request):
    request.begin("302 Found", Location="ftp://127.0.0.1/x")


def to_data(request):
    request.begin("302 Found", Location="data:text/plain,x")


def endless(request):
    request.begin()
    request.drip(itertools.repeat(ZEROS), 0)


def refuse(status):
    return lambda request: request.begin(status)


TIMED = {
    "no byte": (stall, SHORT_STALL, "too slow: 0 bytes in"),
    "one byte now and then": (drip, SHORT_STALL, "too slow: [1-9]"),
    "endless headers": (drip_headers, SHORT_STALL, "too slow: 0 bytes"),
    "endless size of a chunk": (drip_chunk_size, SHORT_STALL, "too slow: 0 bytes"),
    "steady but slow": (steady_but_slow, SHORT, "too slow: [1-9][0-9],"),
}
FAULTS = {
    "broken off": (drop, r"it broke off after 1,000 of"),
    "broken off in a chunk": (drop_in_a_chunk, "IncompleteRead|md5 expected"),
    "too long a length": (claim_more, "it broke off after"),
    "too short a length": (claim_less, "md5 expected .*, found "),
    "4 TB": (claim_four_terabytes, "it gives 4,000,000,000,000 bytes or more, at most 48,127 are right"),
    "a page": (page, "md5 expected .* in 50 bytes that begin with b'<!DOCTYPE html><'"),
    "junk": (junk, "md5 expected"),
    "a gzip that lies": (lying_gzip, "md5 expected"),
    "no content": (nothing, "md5 expected .* in 0 bytes"),
    "no HTTP": (no_http, r"\S"),
    "hangs up": (hang_up, "closed connection without response"),
    "round in a circle": (go_round, "infinite loop"),
    "ever further": (go_further, "infinite loop"),
    "to a file": (to_a_file, "'file:///etc/passwd' is not allowed"),
    "to FTP": (to_ftp, "redirected to ftp://127.0.0.1/x, which is not followed"),
    "to data": (to_data, "is not allowed"),
    "endless": (endless, r"it gives [0-9,]+ bytes or more, at most 48,127 are right"),
    "404": (refuse("404 Not Found"), "HTTP Error 404: Not Found"),
    "403": (refuse("403 Forbidden"), "HTTP Error 403: Forbidden"),
    "500": (refuse("500 Oops"), "HTTP Error 500: Oops"),
    "a terminal's commands": (refuse("500 \x1b[31mred\x07" + "x" * 9000), r"HTTP Error 500: \[31mred x{100,190}\.\.\."),
}


def left_in(folder):
    """What there is beside the lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".download.lock"}


def check_refused(root, answer, words, limits=SmallMNIST.limits):
    """One line tells what the only mirror did, and nothing is left."""
    with serving(answer) as bad:
        data = SmallMNIST(root, mirrors=[bad.address])
        data.limits = limits
        with pytest.raises(OSError, match="mnist could not be fetched: no") as caught:
            data.prepare_data()
    assert left_in(root / "MNIST" / "raw") == {}
    (said,) = [line for line in str(caught.value).splitlines() if "could not be fetched" in line]
    assert re.search(rf"\({bad.address}: .*({words})", said), said
    assert len(said) < 400
    assert said.isprintable()


@pytest.mark.parametrize(("answer", "words"), FAULTS.values(), ids=FAULTS)
def test_what_a_server_does_wrong_is_told_in_one_line_and_nothing_is_left(tmp_path, capfd, answer, words):
    check_refused(tmp_path, answer, "")  # to HEAD already
    check_refused(tmp_path, but_for_head(answer), words)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("answer", "limits", "words"), TIMED.values(), ids=TIMED)
def test_a_server_that_takes_its_time_is_given_up(tmp_path, answer, limits, words):
    check_refused(tmp_path, but_for_head(answer), words, limits)


@pytest.mark.parametrize("kind", [SmallMNIST, SmallFashion, SmallKMNIST])
def test_the_next_mirror_gives_what_others_do_not(tmp_path, kind):
    others_had_their_turn = threading.Event()

    def give_at_last(request):
        if request.method == "HEAD":
            others_had_their_turn.wait()
        give_right(request)

    with serving(but_for_head(drop)) as broken, serving(but_for_head(page)) as other, serving(give_at_last) as good:
        kind(tmp_path, mirrors=[DEAD, broken.address, other.address, good.address]).prepare_data()
        others_had_their_turn.set()
    assert left_in(tmp_path / kind.folder_name / "raw") == GZIPPED
    assert broken.fetched == other.fetched == [f"/{IMAGES}"]  # of the other files they are not asked first again


def test_without_a_good_mirror_each_one_has_its_reason(tmp_path):
    with serving(refuse("403 Forbidden")) as closed, serving(but_for_head(drop)) as broken:
        mirrors = [DEAD, closed.address, broken.address]
        with pytest.raises(OSError, match="no mirror gave") as caught:
            SmallMNIST(tmp_path, mirrors=mirrors).prepare_data()
    for mirror, words in zip(mirrors, ("refused", "403: Forbidden", "broke off after"), strict=True):
        assert re.search(f"{mirror}: [^;]*{words}", str(caught.value))


def test_a_right_file_is_taken_whatever_length_was_claimed(tmp_path):
    for number, headers in enumerate(({}, {"Content_Length": -1}, {"Content_Length": "many"})):

        def answer(request, headers=headers):
            request.begin(**headers)
            request.send(GZIPPED[request.name])

        with serving(but_for_head(answer)) as server:
            SmallMNIST(tmp_path / str(number), mirrors=[server.address]).prepare_data()
        assert left_in(tmp_path / str(number) / "MNIST" / "raw") == GZIPPED


@pytest.mark.parametrize(
    "wrong", ["http://127.0.0.1/", [], ["file:///etc/"], ["ftp://host/"], ["http://host"], [3], ["http://a/", "b/"]]
)
def test_mirrors_that_are_no_addresses_of_http_are_named(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"mirrors is .*list of addresses of http or https, each ending in a slash"):
        SmallMNIST(tmp_path, mirrors=wrong)


def test_what_a_killed_download_left_is_not_read_and_goes_with_the_next(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / f".{IMAGES}.4711.part").write_bytes(RIGHT[:1000])
    (folder / f".{IMAGES}.4712.part").write_bytes(RIGHT)
    with serving() as server:
        SmallMNIST(tmp_path, mirrors=[server.address]).prepare_data()
    assert server.fetched.count(f"/{IMAGES}") == 1
    assert left_in(folder) == GZIPPED


class FullDisk(io.FileIO):
    """A file on a disk that has room for 1,500 bytes."""

    def write(self, content):
        if self.tell() > 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content[:1500])


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """The data is on a full disk; all else is not."""

    def open_on_it(path, mode="r", *arguments, **options):
        if path.suffix == ".part" and path.parent.name == "raw":
            return io.BufferedWriter(FullDisk(path, "w"))
        return really_open(path, mode, *arguments, **options)

    really_open = Path.open
    monkeypatch.setattr(Path, "open", open_on_it)


def test_a_full_disk_is_one_message_and_leaves_nothing(tmp_path, full_disk):
    with serving() as one, serving() as two, pytest.raises(OSError, match="No space left") as caught:
        SmallMNIST(tmp_path, mirrors=[one.address, two.address]).prepare_data()
    assert "Put good copies into " + str(tmp_path / "MNIST" / "raw") in str(caught.value)
    assert one.fetched + two.fetched == [f"/{IMAGES}"]  # the next mirror would fill the disk as well
    assert left_in(tmp_path / "MNIST" / "raw") == {}


def test_the_command_tells_of_the_disk_of_the_data_not_of_the_run_folder(command, tmp_path, full_disk):
    with serving() as server:
        result = command("data=mnist", f"data.root={tmp_path}", f"+data.mirrors=[{server.address}]")
    assert result.code == 1
    assert result.err.startswith("error: mnist could not be fetched: [Errno 28] No space left on device")
    assert f"Put good copies into {tmp_path / 'MNIST' / 'raw'}" in result.err
    assert "Traceback" not in result.err


def test_a_complete_folder_that_may_not_be_written_is_read_and_nothing_is_fetched(unprivileged):
    with serving() as server:
        SmallMNIST(unprivileged, mirrors=[server.address]).prepare_data()
        folder = unprivileged / "MNIST" / "raw"
        (folder / ".download.lock").unlink()
        folder.chmod(0o555)
        data = SmallMNIST(unprivileged, mirrors=[server.address])
        data.prepare_data()
        data.setup()
        folder.chmod(0o755)
    assert data.sizes() == {"train": 55, "val": 5, "test": 10}
    assert len(server.fetched) == 4
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == GZIPPED


def test_an_incomplete_folder_that_may_not_be_written_is_one_message(unprivileged):
    folder = unprivileged / "MNIST" / "raw"
    folder.mkdir(parents=True)
    folder.chmod(0o555)
    with serving() as server, pytest.raises(OSError, match=r"could not be fetched: .*Permission denied") as caught:
        SmallMNIST(unprivileged, mirrors=[server.address]).prepare_data()
    folder.chmod(0o755)
    assert f"Put good copies into {folder.absolute()}: {IMAGES}" in str(caught.value)
    assert server.fetched == []


def test_a_file_that_may_not_be_read_is_named(unprivileged):
    with serving() as server:
        SmallMNIST(unprivileged, mirrors=[server.address]).prepare_data()
    bad = unprivileged / "MNIST" / "raw" / IMAGES
    bad.chmod(0)
    with pytest.raises(OSError, match=f"{bad} cannot be read: Permission denied"):
        SmallMNIST(unprivileged, mirrors=[DEAD]).prepare_data()


def prepare(root, address, start):
    """For a process of its own, which has its id in the address."""
    data = SmallMNIST(root, mirrors=[f"{address}{os.getpid()}/"])
    start.wait()
    data.prepare_data()


def processes():
    """Processes that have imported all when they begin, where the system can copy one that has."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lit_dl.data"])
    return context


@pytest.mark.slow
@pytest.mark.parametrize("one_is_killed", [False, True])
def test_of_eight_commands_at_the_same_moment_one_downloads_and_if_it_is_killed_another(tmp_path, one_is_killed):
    killed = []

    def answer(request):
        request.begin(Content_Length=len(GZIPPED[request.name]))
        if one_is_killed and not killed and request.name != IMAGES:
            killed.append(int(request.path.split("/")[1]))
            request.send(GZIPPED[request.name][:40])
            next(run for run in runs if run.pid == killed[0]).kill()
        else:
            request.drip([GZIPPED[request.name][:1000], GZIPPED[request.name][1000:]], 0.05)

    context = processes()
    start = context.Barrier(8)
    with serving(but_for_head(answer)) as server:
        runs = [context.Process(target=prepare, args=(tmp_path, server.address, start)) for _ in range(8)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    assert sorted(run.exitcode == 0 for run in runs) == [not one_is_killed] + [True] * 7
    fetched = sorted(path.rsplit("/", 1)[-1] for path in server.fetched)
    twice = [path.rsplit("/", 1)[-1] for path in server.fetched if killed and f"/{killed[0]}/" in path][-1:]
    assert fetched == sorted([*GZIPPED, *twice])
    assert left_in(tmp_path / "MNIST" / "raw") == GZIPPED
