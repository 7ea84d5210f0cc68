"""Models that are named as on the Hugging Face hub: whether one can be had, told within seconds.

The hub's own library asks for each of a model's files up to six times with growing pauses, so that a mistyped name on
a machine without a network costs a minute. Here one question is asked, once. HF_HUB_OFFLINE (`--offline`) asks none.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from prealign.config.fields import HUB_NAME
from prealign.errors import PrealignError

TIMEOUT_S = 5.0
TELLING = ("config.json", "tokenizer.json", "tokenizer_config.json")
"""Files of which a model or tokenizer in the hub's cache has one."""


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
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise PrealignError(
            f"{name} is no folder, and the Hugging Face hub does not give it: {reason.strip()} Correct the path or the "
            "name; without a network, fetch the model elsewhere and give its folder."
        ) from None
