"""The page of uncle report, as a browser gets it."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from reporting import write_audit, write_run

from uncle_jax.report.html.content import content
from uncle_jax.report.html.page import page
from uncle_jax.report.results import read_run

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


class Reader(HTMLParser):
    """Names, links and what is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.names, self.links, self.loaded, self.open = [], [], [], []

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        self.names += [told["id"]] if "id" in told else []
        self.links += [told["href"]] if tag == "a" else []
        self.loaded += [told[key] for key in ("src", "srcset", "data") if key in told]
        if tag not in ("meta", "br", "link", "input", "img", "use", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.names += [value for key, value in attrs if key == "id"]


@pytest.fixture
def text(tmp_path):
    hostile = {"changes": {"noise": '"><script>alert(1)</script>'}}
    folders = [
        write_audit(write_run(tmp_path / "a", seeds=(0, 1))),
        write_run(tmp_path / "b", "ssd", seeds=(0, 1), told=hostile),
        write_run(tmp_path / "c", "ssd", requests="L0 U0"),
    ]
    runs = [run for folder in folders for run in read_run(folder)[0]]
    return page(content(runs), "A <title>")


def test_it_is_whole_and_loads_nothing(text):
    read = Reader()
    read.feed(text)
    assert read.open == []
    assert read.loaded == []
    assert len(set(read.names)) == len(read.names)
    assert {link[1:] for link in read.links} <= {*read.names}
    assert all(link.startswith("#") for link in read.links)
    assert "default-src 'none'" in text
    addresses = set(re.findall(r"https?://[^\"'\s)]+", text))
    assert all(address.startswith("http://www.w3.org/") for address in addresses), "namespaces"


def test_what_runs_say_is_text_and_no_markup(text):
    assert "<script>alert" not in text
    assert "<title>A &lt;title&gt;</title>" in text


def test_the_same_runs_are_the_same_page(tmp_path):
    runs, _ = read_run(write_run(tmp_path / "a"))
    assert page(content(runs), "t") == page(content(runs), "t")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
def test_a_browser_runs_its_script(text, tmp_path):
    place = tmp_path / "page.html"
    place.write_text(text, encoding="utf-8")
    shown = dumped(place, tmp_path)
    assert 'data-ready="yes"' in shown


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None or "AXE" not in os.environ, reason="needs AXE=axe.min.js")
def test_axe_finds_nothing(text, tmp_path):
    script = Path(os.environ["AXE"]).read_text(encoding="utf-8")
    told = "axe.run().then(r => document.body.innerHTML = "
    told += "'<pre>' + JSON.stringify(r.violations.map(v => v.id)) + '</pre>')"
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    checked = policy.sub("", text).replace("</body>", f"<script>{script};{told}</script></body>")
    place = tmp_path / "page.html"
    place.write_text(checked, encoding="utf-8")
    found = re.search(r"<pre>(\[.*?\])</pre>", dumped(place, tmp_path))
    assert found, "axe did not end"
    assert json.loads(found.group(1)) == []


def dumped(place: Path, home: Path) -> str:
    """The page after its scripts."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={home / 'profile'}"]
    command += ["--virtual-time-budget=20000", "--dump-dom", place.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
