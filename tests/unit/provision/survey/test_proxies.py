from __future__ import annotations

import pytest

from provision.survey.proxies import Proxies, of_apt, of_environment, proxies


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, {}),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": "http://b:1"}, {"http": "http://b:1"}),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "x"}, {"https": "http://a:1", "no": "x"}),
        ({"https_proxy": "", "ALL_PROXY": "http://a:1"}, {}),
    ],
)
def test_of_the_environment(environ: dict[str, str], found: dict[str, str]) -> None:
    assert of_environment(environ) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ('Acquire "";\nAcquire::http "";\nAcquire::http::Proxy "http://p:1";\n', {"http": "http://p:1"}),
        ('Acquire::HTTPS::proxy "http://p:1";\n', {"https": "http://p:1"}),
        ('Acquire::http::Proxy "";\nAcquire::http::Proxy::deb.example "DIRECT";\n', {}),
        ('Acquire::http::Proxy "DIRECT";\n', {}),
    ],
)
def test_of_apt(text: str, found: dict[str, str]) -> None:
    assert of_apt(text) == found


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, None),
        ({"no": "x"}, None),
        ({"http": "http://p:1"}, Proxies("http://p:1", "http://p:1")),
        ({"https": "p:1/"}, Proxies("http://p:1", "http://p:1")),
        ({"http": "http://p:1", "https": "https://q:2"}, Proxies("http://p:1", "https://q:2")),
        ({"http": "http://me:secret@p:1"}, Proxies("http://p:1", "http://p:1", password=True)),
        (
            {"http": "http://p:1", "no": "localhost,127.0.0.1, ::1,*.example.org,.a.b,10.0.0.0/8,*,x:80 c"},
            Proxies("http://p:1", "http://p:1", (".example.org", ".a.b", "10.0.0.0/8", "c")),
        ),
    ],
)
def test_in_the_words_of_the_settings(found: dict[str, str], expected: Proxies | None) -> None:
    assert proxies(found) == expected


@pytest.mark.parametrize(
    "url", ["http://localhost:3128", "socks5://p:1", "http://p", "http://me:secret@127.0.0.1:1"]
)
def test_what_hosts_cannot_use_says_why(url: str) -> None:
    with pytest.raises(ValueError, match="should be") as caught:
        proxies({"http": url})
    assert "secret" not in str(caught.value)
