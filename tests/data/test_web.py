"""Where a download may be led, and how what goes wrong is told."""

import io
from urllib.error import HTTPError, URLError
from urllib.request import Request

import pytest

from lit_dl.data import web


def redirected(start: str, end: str) -> Request | None:
    return web._Redirects().redirect_request(Request(start), io.BytesIO(), 302, "Found", {}, end)


@pytest.mark.parametrize(
    ("start", "end"), [("http://a/", "http://b/"), ("http://a/", "https://a/"), ("https://a/",) * 2]
)
def test_a_redirect_to_the_same_scheme_or_to_https_is_followed(start, end):
    assert redirected(start, end).full_url == end


@pytest.mark.parametrize("end", ["http://a/", "file:///etc/passwd", "ftp://a/", "data:,x", "javascript:x"])
def test_a_redirect_away_from_https_is_not_followed(end):
    with pytest.raises(HTTPError, match=f"redirected to {end}, which is not followed") as caught:
        redirected("https://a/", end)
    caught.value.close()


def test_a_reason_is_never_empty():
    assert web.reason(URLError("no such host")) == "no such host"
    assert web.reason(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x", "no address"])
def test_nothing_but_http_is_opened(address):
    assert "unknown url type" in web.ask(address, 1)
    with pytest.raises(web.MirrorError, match="unknown url type"):
        list(web.Arrival(address, 10, web.Limits()).pieces())
