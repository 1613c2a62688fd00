"""The site: its code runs, its links lead somewhere."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ast
import doctest
import functools
import http.server
import importlib
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from imblearn.over_sampling import RandomOverSampler
from sklearn.base import BaseEstimator
from sklearn.utils import estimator_html_repr
from threadpoolctl import threadpool_limits

import skinest
import skinest.datasets
import skinest.model_selection
from skinest._compat import HAS_CALLBACKS

SITE = "https://skinest.readthedocs.io/en/latest"
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Code of 5 to 20 s.
SLOW = (
    *("bovw", "evaluation", "explaining", "export", "imbalance", "model_selection"),
    *("own_networks", "persistence", "publish", "scikeras", "segmentation", "transfer"),
)
# What takes long on a page, and is replaced by something quick in its test.
SMALLER = {
    "start": {"words = [20, 50]": "words = [20]", "KFold(5": "KFold(3"},
    "other_clinics": {
        '"mobilenetv2"': '"tiny"',
        '"block_6_expand_relu", "block_10_expand_relu", "block_13_expand_relu"': (
            '"Conv1_relu", "block_16_expand_relu"'
        ),
    },
}
PAGES = sorted(
    page
    for page in DOCS.rglob("*.rst")
    if not {"_build", "_templates", "api", "auto_examples"} & set(page.parts)
)
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))


def extension(name):
    """Return a module of docs/_ext."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def list_blocks(page):
    """Yield the code of a page: (line number, code, reason to skip it or None)."""
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.strip() not in (".. code-block:: python", ".. plot::"):
            continue
        indent = len(line) - len(line.lstrip())
        body = []
        for below in lines[number + 1 :]:
            if below.strip() and len(below) - len(below.lstrip()) <= indent:
                break
            body.append(below)
        start = next(i for i, text in enumerate(body) if not text.strip())  # options
        before = [text for text in lines[:number] if text.strip()]
        reason = re.match(r"\.\. skip-test:(.*)", before[-1] if before else "")
        code = textwrap.dedent("\n".join(body[start:]))
        yield number + start + 1, code, reason[1].strip() if reason else None


def find_blocks(page):
    """Return what a page runs, by line number, and reasons of what it skips."""
    blocks = list(list_blocks(page))
    ran = [(number, code) for number, code, reason in blocks if reason is None]
    return ran, [reason for _, _, reason in blocks if reason is not None]


def run_blocks(page):
    """Run the blocks of a page in one namespace, and count them.

    Examples of doctest are compared.
    """
    namespace, n_run = {"__name__": "__main__"}, 0
    for first_line, code in find_blocks(page)[0]:
        n_run += 1
        for large, small in SMALLER.get(page.stem, {}).items():
            code = code.replace(large, small)
        if code.lstrip().startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(
                code, namespace, page.name, str(page), first_line
            )
            flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
            runner = doctest.DebugRunner(optionflags=flags)
            runner.run(test, clear_globs=False)
            namespace.update(test.globs)
        else:
            exec(compile("\n" * first_line + code, str(page), "exec"), namespace)
    return n_run


@pytest.fixture
def few_samples(monkeypatch):
    """Let an interval take few random samples, unless a page says how many."""
    for name in ("bootstrap_interval", "compare"):
        function = getattr(skinest.model_selection, name)
        quick = functools.partial(function, n_resamples=50)
        monkeypatch.setattr(skinest.model_selection, name, quick)


@pytest.mark.usefixtures("few_samples")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] * (page.stem in SLOW))
        for page in PAGES
        if find_blocks(page)[0]
    ],
    ids=lambda page: str(page.relative_to(DOCS)),
)
def test_code_of_a_page_runs(page, tmp_path, monkeypatch):
    if "sklearn.callback" in page.read_text() and not HAS_CALLBACKS:
        pytest.skip("callbacks need scikit-learn 1.9")
    if page.stem == "export":
        for package in ("tf2onnx", "onnxruntime", "ai_edge_litert"):
            pytest.importorskip(package)
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.switch_backend("agg")
    try:
        with threadpool_limits(1):  # tests run beside each other
            assert run_blocks(page) == len(find_blocks(page)[0])
    finally:
        plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_code_of_a_page_imports_the_names_that_it_uses(page):
    """Also the code that no test runs."""
    blocks = [code for _, code, _ in list_blocks(page) if ">>>" not in code]
    command = ["ruff", "check", "--isolated", "--quiet", "--select=F821", "-"]
    run = subprocess.run(
        [sys.executable, "-m", *command],
        input="\n".join(blocks),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout


def test_few_blocks_are_skipped_and_say_why():
    skipped = [reason for page in PAGES for reason in find_blocks(page)[1]]
    assert all(skipped)
    ran = sum(len(find_blocks(page)[0]) for page in PAGES)
    assert len(skipped) < ran / 10


def test_all_guide_pages_run_code():
    """A page without a block is one that no test looks at."""
    without = {
        page.stem
        for page in (DOCS / "guide").glob("*.rst")
        if page.stem != "index" and not find_blocks(page)[0]
    }
    assert without == {"troubleshooting"}


def listed_names():
    """Return full names on the API page, as Sphinx reads them."""
    names, module = [], None
    for line in extension("api_pages").index_page().splitlines():
        if match := re.match(r"\.\. (?:auto)?module:: (\S+)", line):
            module = match[1]
        elif match := re.match(r"   ([A-Za-z_]\w*)$", line):
            names.append(f"{module}.{match[1]}")
    return names


def find_object(name):
    return functools.reduce(getattr, name.split(".")[1:], skinest)


def test_the_api_page_lists_every_public_name_once():
    """Found by another way: files whose name has no underscore, and their __all__."""
    package = Path(skinest.__file__).parent
    public = set()
    for file in package.rglob("*.py"):
        parts = file.relative_to(package).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if any(part.startswith("_") for part in parts):
            continue
        module = importlib.import_module(".".join(("skinest", *parts)))
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if not isinstance(value, type(skinest)):
                public.add(id(value))
    listed = [id(find_object(name)) for name in listed_names()]
    assert len(listed) == len(set(listed))
    assert set(listed) == public


def public_estimators():
    for name in listed_names():
        value = find_object(name)
        if isinstance(value, type) and issubclass(value, BaseEstimator):
            yield pytest.param(name, value, id=name)


@pytest.mark.parametrize(("name", "kind"), list(public_estimators()))
def test_html_of_an_estimator_links_to_its_page(name, kind):
    required = {
        "skinest.losses.WeightedCrossentropy": (1.0, 2.0),
        "skinest.ImageResampler": RandomOverSampler(),
    }
    estimator = kind(required[name]) if name in required else kind()
    page = f"{SITE}/api/generated/{name}.html"
    assert estimator._get_doc_link() == page
    assert f'href="{page}"' in estimator_html_repr(estimator)


def test_a_class_of_the_user_has_no_page():
    class Own(skinest.SIFTDescriptor):
        pass

    assert Own()._get_doc_link() == ""


def labels_and_targets():
    """Return labels that pages define, and those that they link to."""
    defined, wanted = set(), {}
    for page in PAGES:
        text = page.read_text()
        defined |= set(re.findall(r"^\.\. _([\w-]+):$", text, re.MULTILINE))
        for target in re.findall(r":ref:`(?:[^`<]*<)?([^`<>]+)>?`", text):
            wanted.setdefault(target, page)
    return defined, wanted


def test_links_between_pages_lead_somewhere():
    defined, wanted = labels_and_targets()
    defined |= {f"sphx_glr_auto_examples_{example.name}" for example in EXAMPLES}
    assert set(wanted) <= defined
    for page in PAGES:
        for target in re.findall(r":doc:`(?:[^`<]*<)?([^`<>]+)>?`", page.read_text()):
            folder = DOCS if target.startswith("/") else page.parent
            written = folder / target.lstrip("/")
            generated = {DOCS / "auto_examples/index", DOCS / "api/index"}
            suffixes = (".rst", ".md")
            assert written in generated or any(
                written.with_suffix(suffix).is_file() for suffix in suffixes
            ), f"{page}: {target}"


def test_attributes_of_data_in_pages_exist():
    found = []
    for page in PAGES:
        for fetcher, name in re.findall(r"(fetch_\w+)\(\)\.(\w+)", page.read_text()):
            found.append(name)
            assert f"        {name} : " in getattr(skinest.datasets, fetcher).__doc__
    assert found


def documented_commands():
    """Yield what pages say to type: (script, options)."""
    for page in [*PAGES, ROOT / "benchmarks" / "README.md", ROOT / "README.md"]:
        text = page.read_text().replace("\\\n", " ")
        for line in text.splitlines():
            found = re.match(r"\s*python ((?:examples|benchmarks)/\w+\.py)(.*)", line)
            if found:
                options = re.findall(r"(?<!\w)--[a-z][a-z-]*", found[2].split("#")[0])
                yield found[1], options


@pytest.mark.slow
def test_documented_commands_have_the_options_that_pages_name():
    options_of = {}
    for script, options in documented_commands():
        options_of.setdefault(script, set()).update(options)
    assert len(options_of) > 5
    for script, options in options_of.items():
        run = subprocess.run(
            [sys.executable, script, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert options <= set(re.findall(r"--[a-z][a-z-]*", run.stdout)), script


def test_names_of_the_library_in_pages_exist():
    target = r":(?:class|func|meth|mod):`~?(skinest[\w.]*)`"
    names = {name for page in PAGES for name in re.findall(target, page.read_text())}
    assert len(names) > 10
    for name in names:
        assert find_object(name) is not None, name


def decimals(page):
    """Return the scores on a page, such as .812."""
    return set(re.findall(r"(?<![\d\w])\.\d+", page.read_text()))


def test_scores_of_the_readme_are_those_of_the_benchmarks():
    shown = decimals(ROOT / "README.md")
    assert len(shown) > 8
    pages = ROOT / "benchmarks" / "README.md", DOCS / "study.rst"
    assert shown <= set().union(*map(decimals, pages))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_made_for_the_gallery(example):
    """As CONTRIBUTING.md asks."""
    text = example.read_text()
    title, line, blank, *rest = ast.get_docstring(ast.parse(text)).splitlines()
    assert line == "=" * len(title)
    assert not blank and rest
    assert "__file__" not in text and "__doc__." not in text
    assert not re.search(r"plt\.(close|show)\(", text)
    assert not re.search(r"(?<!plt\.)\b[Ff]igure\(", text.replace("plt.figure(", ""))


def runs_alone(example):
    return not example.name.startswith("plot_task")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_a_download_of_an_example_has_what_it_imports(example, tmp_path):
    modules = extension("downloads").list_modules(example)
    if runs_alone(example):
        assert not modules
        return
    archive = tmp_path / "example.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(example, example.name)
    extension("downloads").add_to_zip(archive, modules)
    extension("downloads").add_to_zip(archive, modules)
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        opened.extractall(tmp_path)
    assert len(names) == len(set(names)) == 1 + len(modules)
    script = tmp_path / example.name
    assert len(extension("downloads").list_modules(script)) == len(modules)
    for name in names:
        for module in re.findall(r"(?m)^(?:from|import) (_[a-z0-9]+)\b", read(name)):
            assert f"{module}.py" in names


def read(name):
    return (ROOT / "examples" / name).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_a_downloaded_example_starts(example, tmp_path):
    for file in (example, *extension("downloads").list_modules(example)):
        shutil.copy(file, tmp_path)
    run = subprocess.run(
        [sys.executable, example.name, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "--figures" in run.stdout


def test_a_page_offers_only_the_zip_of_an_example_that_needs_it():
    links = [
        f"    .. container:: sphx-glr-download sphx-glr-download-{kind}\n\n"
        f"      :download:`Download {name} <{name}>`\n"
        for kind, name in (("jupyter", "a.ipynb"), ("python", "a.py"), ("zip", "a.zip"))
    ]
    page = "\n" + "\n".join(links)
    shown = extension("downloads").offer_zip_only(page, "a")
    assert re.findall("<(.*)>", shown) == ["a.zip"]
    with pytest.raises(ValueError, match="a: found 0 links"):
        extension("downloads").offer_zip_only("", "a")


class Answers(http.server.BaseHTTPRequestHandler):
    contents = {"/good/objects.inv": b"# Sphinx inventory version 2\n"}

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.contents.get(self.path, b"<html>not found</html>"))

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_inventories_are_fetched_and_kept_for_a_build_without_network(server, tmp_path):
    reachable = extension("inventories").reachable
    projects = {"good": f"{server}/good", "page": f"{server}/page"}
    mapping = reachable(projects, tmp_path)
    assert mapping == {"good": (f"{server}/good", str(tmp_path / "good.inv"))}
    assert (tmp_path / "good.inv").read_bytes() == Answers.contents["/good/objects.inv"]
    nowhere = {"good": "http://127.0.0.1:9/good", "other": "http://127.0.0.1:9/other"}
    assert list(reachable(nowhere, tmp_path)) == ["good"]


class Anchors(HTMLParser):
    """Ids and links of a page."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.links = set(), set()
        self.feed(page.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids |= {attributes.get("id"), attributes.get("name")} - {None}
        for name in ("href", "src"):
            if attributes.get(name):
                self.links.add(attributes[name])


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_its_links_lead_somewhere(tmp_path):
    for needed in ("sphinx_gallery", "numpydoc", "pydata_sphinx_theme", "myst_parser"):
        pytest.importorskip(needed)
    built = tmp_path / "html"
    command = ["-m", "sphinx", "-W", "--keep-going", "-D", "plot_gallery=0", DOCS]
    run = subprocess.run(
        [sys.executable, *command, built],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found = [page.resolve() for page in built.rglob("*.html")]
    # The theme leaves a template of its own in _static.
    pages = {page: Anchors(page) for page in found if "_static" not in page.parts}
    assert len(pages) > 40
    for page, anchors in pages.items():
        for link in anchors.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = page
            if parts.path:
                target = (page.parent / unquote(parts.path)).resolve()
            assert target.exists(), f"{page}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{page}: {link}"
    for name, _ in (parameter.values for parameter in public_estimators()):
        assert (built / "api" / "generated" / f"{name}.html").is_file()
