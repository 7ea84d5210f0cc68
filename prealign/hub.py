"""Models and files that are named as on the Hugging Face hub: whether they can be had, told within seconds.

The hub's own library asks for a file up to six times with growing pauses, so that a mistyped name on a machine without
a network costs a minute. Here one question is asked, once. HF_HUB_OFFLINE (`--offline`) asks none. A file that is in
the hub's cache is taken as it is: a run goes on with what it began with, and a finished one needs no network.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from prealign.errors import PrealignError
from prealign.files import NO_ROOM, system_error

log = logging.getLogger(__name__)

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""Organisation and name of a model."""
HUB_FILE = re.compile(
    rf"hf://datasets/(?P<dataset>{HUB_NAME.pattern})"
    r"(@(?P<revision>refs/(convert|pr)/[^/@]+|[^/@]+))?/(?P<file>[^/]+(/[^/]+)*)"
)
"""A file of a data set, spelt as for the hub's own file system: a revision's slashes are slashes in refs/pr/1 and
refs/convert/parquet, %2F in others."""
TIMEOUT_S = 5.0
TELLING = ("config.json", "tokenizer.json", "tokenizer_config.json")
"""Files of which a model or tokenizer in the hub's cache has one."""


def is_on_hub(path: str) -> bool:
    """Whether an input of a recipe is named as on the hub."""
    return path.startswith("hf://")


def cached_file(name: str) -> Path | None:
    """Where a file of a data set lies in the hub's cache, or None; the hub is not asked."""
    import huggingface_hub

    dataset, revision, file = _parts(name)
    try:
        place = huggingface_hub.try_to_load_from_cache(dataset, file, revision=revision, repo_type="dataset")
    except ValueError:  # a name such as a--b, which no data set has
        return None
    return Path(place) if isinstance(place, str) else None


def fetched_file(name: str) -> Path:
    """Where a file of a data set lies in the hub's cache, to which it is fetched if it is not there.

    Raises:
        PrealignError: says why the hub does not give it, and what to do.
    """
    import huggingface_hub
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if (place := cached_file(name)) is not None:
        return place
    dataset, revision, file = _parts(name)
    if HF_HUB_OFFLINE:
        raise PrealignError(
            f"{name} is not in the hub's cache, and the hub may not be asked (--offline, HF_HUB_OFFLINE). Correct the "
            f"name, or fetch it where there is a network: hf download --repo-type dataset {dataset} {file}"
            + (f" --revision {revision}" if revision else "")
        )
    try:
        url = huggingface_hub.hf_hub_url(dataset, file, repo_type="dataset", revision=revision)
        size = huggingface_hub.get_hf_file_metadata(url, timeout=TIMEOUT_S).size
        log.info("fetching %s%s", name, f" ({size / 1e6:,.1f} MB)" if size else "")
        return Path(huggingface_hub.hf_hub_download(dataset, file, repo_type="dataset", revision=revision))
    except Exception as error:  # of the hub, or of one of the transports of its versions
        if system_error(error) in NO_ROOM:
            raise
        raise PrealignError(f"{name} cannot be fetched: {_why(error)}") from None


def _parts(name: str) -> tuple[str, str | None, str]:
    """Data set, revision and file of a name that HUB_FILE matches."""
    found = HUB_FILE.fullmatch(name)
    assert found, name
    revision = found["revision"]
    return found["dataset"], unquote(revision) if revision else None, found["file"]


def _why(error: Exception) -> str:
    """Why there is no file, and what to do."""
    from huggingface_hub import errors

    if isinstance(error, errors.RemoteEntryNotFoundError):
        return "the data set has no such file. Correct the path after its name."
    if isinstance(error, errors.RevisionNotFoundError):
        return "the data set has no such revision. Correct what stands after the @."
    if isinstance(error, errors.GatedRepoError):
        return (
            "the data set has terms. Accept them on its page on the hub, and log in with `hf auth login` or HF_TOKEN."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            "the hub has no such data set, or none that may be read without logging in. Correct the name, or log in "
            "with `hf auth login` or HF_TOKEN."
        )
    return (
        f"the Hugging Face hub does not give it ({_first_line(error)}). Without a network, fetch it elsewhere and name "
        "the file itself, or bring the hub's cache (HF_HOME)."
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "").strip() or type(error).__name__


def refuse_unreachable(place: str | Path) -> None:
    """Stop at a model or tokenizer that is neither a folder, nor in the hub's cache, nor on a hub that answers.

    Raises:
        PrealignError: says which of these it is, and what to do.
    """
    name = str(place)
    if not Path(name).exists() and HUB_NAME.fullmatch(name):
        _ask(name)


@cache
def _ask(name: str) -> None:
    import huggingface_hub
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import EntryNotFoundError

    if any(isinstance(huggingface_hub.try_to_load_from_cache(name, file), str) for file in TELLING):
        return
    if HF_HUB_OFFLINE:
        raise PrealignError(
            f"{name} is no folder and not in the hub's cache, and the hub may not be asked (--offline, "
            "HF_HUB_OFFLINE). Correct the path, or fetch the model where there is a network."
        )
    try:
        huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(name, TELLING[0]), timeout=TIMEOUT_S)
    except EntryNotFoundError:
        return  # it is there, and has no such file
    except Exception as error:  # of the hub (no such name, no access), or of one of the transports of its versions
        raise PrealignError(
            f"{name} is no folder, and the Hugging Face hub does not give it: {_first_line(error)} Correct the path or "
            "the name; without a network, fetch the model elsewhere and give its folder."
        ) from None
