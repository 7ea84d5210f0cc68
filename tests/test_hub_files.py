"""Input files named as on the hub: from a cache made by hand, and from a little hub on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import duckdb
import huggingface_hub.constants
import pytest

from prealign import cli
from prealign.config.recipe import read_recipe
from prealign.config.settings import Recipe
from prealign.corpora.drops import Drops
from prealign.corpora.labelled_sets import labelled_set
from prealign.corpora.language_text import language_documents
from prealign.corpora.sentence_pairs import read_pairs
from prealign.errors import PrealignError
from prealign.hub import cached_file, fetched_file
from prealign.stages.layout import Layout

COMMIT, LATER = "a" * 40, "b" * 40
CLASSES = {
    "info": {"features": {"label": {"names": ["entailment", "neutral", "contradiction"], "_type": "ClassLabel"}}}
}

Put = Callable[..., str]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, which may not be asked."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture
def put(cache: Path) -> Put:
    """Puts a file of own/corpus into the cache as the hub's library lays it out, and gives its name."""

    def into_cache(name: str, content: bytes | str, revision: str = "main", commit: str = COMMIT) -> str:
        folder = cache / "datasets--own--corpus"
        blob = folder / "blobs" / f"{len(list(folder.glob('blobs/*')))}".zfill(64)
        link, ref = folder / "snapshots" / commit / name, folder / "refs" / revision
        for place in (blob, link, ref):
            place.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content.encode() if isinstance(content, str) else content)
        link.symlink_to(blob)
        if revision != commit:
            ref.write_text(commit)
        at = "" if revision == "main" else f"@{revision}"
        return f"hf://datasets/own/corpus{at}/{name}"

    return into_cache


def nli(folder: Path, code: str) -> bytes:
    """A Parquet file like those of XNLI on the hub; the third row has no gold label."""
    path = folder / f"{code}.parquet"
    query = f"select '{code} p' || i as premise, 'h' || i as hypothesis, [0, 2, -1, 1][i]::bigint as label"
    duckdb.execute(
        f"copy ({query} from range(1, 5) t(i)) to '{path}' (format parquet, kv_metadata {{huggingface: $told}})",
        {"told": json.dumps(CLASSES)},
    )
    return path.read_bytes()


def test_a_revision_has_its_own_file_and_what_is_cached_is_not_asked_for(put: Put) -> None:
    names = [
        put("de/a.tsv", "new"),
        put("de/a.tsv", "old", "v1.0", LATER),
        put("b.tsv", "converted", "refs/convert/parquet"),
    ]
    names.append(put("c.tsv", "by commit", COMMIT))
    assert [fetched_file(name).read_text() for name in names] == ["new", "old", "converted", "by commit"]
    assert fetched_file("hf://datasets/own/corpus@refs%2Fconvert%2Fparquet/b.tsv").read_text() == "converted"
    assert cached_file("hf://datasets/own/corpus/absent.tsv") is None
    assert cached_file("hf://datasets/own/a--b/absent.tsv") is None


def test_what_is_not_cached_is_told_offline_with_the_line_that_fetches_it(cache: Path) -> None:
    with pytest.raises(PrealignError) as caught:
        fetched_file("hf://datasets/own/corpus@v1.0/de/a.tsv")
    assert "de/a.tsv is not in the hub's cache, and the hub may not be asked (--offline" in str(caught.value)
    assert str(caught.value).endswith("hf download --repo-type dataset own/corpus de/a.tsv --revision v1.0")


def test_a_recipe_reads_text_and_labelled_texts_from_the_hub(put: Put, tmp_path: Path) -> None:
    en, de = (put(f"{code}/test-00000-of-00001.parquet", nli(tmp_path, code)) for code in ("en", "de"))
    (tmp_path / "own.tsv").write_text("a\tb\tcontradiction\nc\td\tneutral\ne\tf\tentailment\n")
    item = {"name": "xnli", "train": {"en": ["own.tsv"]}, "test": {"en": [en], "de": [de]}, "mixed_languages": True}
    text = put("text.jsonl", '{"text": "Ein Satz."}\n')
    recipe = Recipe.model_validate(
        {"data": str(tmp_path), "languages": {"de": {"text": [text]}}, "eval": {"transfer": [item]}}
    )
    assert list(language_documents(recipe, "de", Drops())) == ["Ein Satz."]
    drops = Drops()
    found = labelled_set(recipe, recipe.eval.transfer[0], drops)
    assert [(one.row, one.texts, one.label) for one in found.test["de"]] == [
        ("1", ("de p1", "h1"), "entailment"),
        ("2", ("de p2", "h2"), "contradiction"),
        ("4", ("de p4", "h4"), "neutral"),
    ]
    assert drops.as_dict()["rows without a gold label"]["count"] == 2


def recipe_with(folder: Path, **named: str) -> Path:
    """A recipe of English and German; of what is named, the rest of a line after its key."""
    lines = {
        "text": "python-docs",
        "pair": "parallel: [pairs.tsv]",
        "gold": "gold.txt",
        "sentences": "test.tsv",
        "wording": "wording.yaml",
    } | named
    for name in ("pairs.tsv", "gold.txt", "test.tsv", "wording.yaml"):
        (folder / name).write_text("a\tb\n")
    path = folder / "recipe.yaml"
    path.write_text(
        f"""
data: {folder}
output: {folder / "run"}
languages: {{en: {{text: ["{lines["text"]}"]}}, de: {{text: [python-docs]}}}}
dictionary:
  pairs: [{{source: en, target: de, {lines["pair"]}}}]
knowledge: {{language: en, wordings: {{de: "{lines["wording"]}"}}}}
eval:
  gold_dictionaries: [{{name: gold, source: en, target: de, path: "{lines["gold"]}"}}]
  sentences: [{{name: test, source: en, target: de, path: "{lines["sentences"]}"}}]
"""
    )
    return path


def test_a_dry_run_fetches_nothing_and_tells_what_is_cached(
    put: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = put("text.txt", "A sentence.\n")
    absent = "hf://datasets/own/corpus/absent"
    pair = f'parallel: ["{absent}.en.gz", "{absent}.de.gz"]'
    recipe = recipe_with(tmp_path, text=cached, pair=pair, gold=f"{absent}.txt", wording=f"{absent}.yaml")
    assert cli.run(["run", str(recipe), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert f"{cached} (from the hub, in its cache, 0.0 MB)" in told
    for name in (f"{absent}.en.gz", f"{absent}.de.gz", f"{absent}.txt"):
        assert f"{name} (from the hub, not in its cache)" in told
    assert not (tmp_path / "run").exists()


def test_both_files_of_a_pair_are_named(put: Put, tmp_path: Path) -> None:
    en, de = put("news.en", "A house.\nA river.\n"), put("news.de", "Ein Haus.\nEin Fluss.\n")
    layout = Layout(read_recipe(recipe_with(tmp_path, pair=f'parallel: ["{en}", "{de}"]')))
    (corpus,) = layout.corpora(layout.recipe.dictionary.pairs[0])
    assert [pair[:2] for pair in read_pairs([corpus], "en", "de", Drops())] == [
        ("A house.", "Ein Haus."),
        ("A river.", "Ein Fluss."),
    ]
    alone = put("other.en", "A house.\n")
    layout = Layout(read_recipe(recipe_with(tmp_path, pair=f'parallel: ["{alone}"]')))
    with pytest.raises(PrealignError, match=r"other\.de does not exist\. Of a pair on the hub, name both files"):
        layout.corpora(layout.recipe.dictionary.pairs[0])


@pytest.mark.parametrize("field", ["text", "gold", "sentences", "wording", "pair"])
def test_every_kind_of_input_ends_with_a_sentence_where_it_cannot_be_had(
    field: str, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "hf://datasets/own/corpus/absent.tsv"
    recipe = recipe_with(tmp_path, **{field: f'path: "{name}"' if field == "pair" else name})
    assert cli.run(["run", str(recipe)]) == 2
    told = capsys.readouterr().err
    assert f"{name} is not in the hub's cache" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("name", ["hf://own/model/a.tsv", "hf://datasets/corpus/a.tsv", "hf://datasets/own/corpus@v1"])
def test_other_spellings_are_refused_when_the_recipe_is_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(PrealignError, match=r"names no file on the Hugging Face hub; write hf://datasets/OWNER/NAME/F"):
        read_recipe(recipe_with(tmp_path, gold=name))
    with pytest.raises(PrealignError, match="would be a file of a data set; a folder is needed here"):
        read_recipe(recipe_with(tmp_path), ["--model.checkpoint", name])


def test_a_stage_is_known_by_the_content_and_then_needs_no_network(
    put: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = put("muse.en-de.txt", "house Haus\nriver Fluss\n")
    recipe = recipe_with(tmp_path, pair=f'path: "{name}"')
    layout = Layout(read_recipe(recipe))
    (pair,) = layout.recipe.dictionary.pairs
    before = layout.dictionary(pair).inputs
    assert before == {name: layout._content(fetched_file(name))}
    assert cli.run(["build-dict", str(recipe)]) == 0
    manifest = json.loads((tmp_path / "run" / "dictionary" / "en--de" / "manifest.json").read_text())
    assert manifest["inputs"] == before
    assert cli.run(["build-dict", str(recipe)]) == 0
    assert cli.run(["build-dict", str(recipe), "--dry-run"]) == 0
    assert "is there and would be reused" in capsys.readouterr().out
    fetched_file(name).unlink()
    assert cli.run(["build-dict", str(recipe), "--dry-run"]) == 0
    assert "is there; whether it would be reused is known when" in capsys.readouterr().out


@pytest.fixture
def little_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub on this machine that has every file but some; what it is asked for, in order."""
    asked: list[str] = []
    content = b"A sentence.\tEin Satz.\n"
    refusals = {
        "/absent.tsv": (404, "EntryNotFound"),
        "/own/other/": (401, "RepoNotFound"),
        "/own/gated/": (403, "GatedRepo"),
        "/resolve/v9/": (404, "RevisionNotFound"),
    }

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            if "/resolve/" in self.path:  # the library has questions of its own
                asked.append(f"{self.command} {self.path}")
            found = next((how for part, how in refusals.items() if part in self.path), None)
            self.send_response(found[0] if found else 200)
            self.send_header("X-Error-Code", found[1]) if found else self.send_header("ETag", '"c1"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0" if found else str(len(content)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_fetched_once(little_hub: list[str]) -> None:
    name = "hf://datasets/own/corpus/de/data.tsv"
    assert fetched_file(name).read_text() == "A sentence.\tEin Satz.\n"
    assert {line.split()[1] for line in little_hub} == {"/datasets/own/corpus/resolve/main/de/data.tsv"}
    assert [line.split()[0] for line in little_hub].count("GET") == 1
    n_asked = len(little_hub)
    assert fetched_file(name).name == "data.tsv"
    assert len(little_hub) == n_asked


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("own/corpus/absent.tsv", "the data set has no such file"),
        ("own/corpus@v9/data.tsv", "the data set has no such revision"),
        ("own/gated/data.tsv", "the data set has terms. Accept them on its page on the hub"),
        ("own/other/data.tsv", "the hub has no such data set, or none that may be read without logging in"),
        ("own/a--b/data.tsv", r"the Hugging Face hub does not give it \("),
    ],
)
def test_why_a_file_cannot_be_fetched_is_told_after_one_question(
    name: str, sentence: str, little_hub: list[str]
) -> None:
    with pytest.raises(PrealignError, match=f"hf://datasets/{name} cannot be fetched: {sentence}"):
        fetched_file(f"hf://datasets/{name}")
    assert len(little_hub) <= 1
