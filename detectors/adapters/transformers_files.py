"""Processor and model of the `transformers` library from a local folder or a hub name."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from detectors.errors import InputError

__all__ = ["load_pretrained"]


def load_pretrained(name: str, processor_kind: str, model_kind: str) -> tuple[Any, Any]:
    """A processor and a model in evaluation mode.

    Args:
        name: folder or hub name; a hub name is downloaded on first use.
        processor_kind: a class of transformers, such as `AutoImageProcessor`.
        model_kind: a class of transformers, such as `AutoModelForObjectDetection`.

    Raises:
        InputError: transformers is not installed, or the model can be neither found nor
            downloaded, or is of another kind.
    """
    try:
        import transformers
    except ImportError:
        raise InputError(
            f"detector {name}: needs transformers: pip install 'gqa-reasoner[transformers]'"
        ) from None
    kinds = [getattr(transformers, kind) for kind in (processor_kind, model_kind)]
    errors = (OSError, ValueError, KeyError, ImportError, AttributeError)
    try:
        processor, model = (kind.from_pretrained(name, local_files_only=True) for kind in kinds)
        return processor, model.eval()
    except errors as error:
        if Path(name).is_dir():
            raise InputError(f"detector {name}: not a usable folder: {_line(error)}") from None
    _check_reachable(name)
    try:
        processor = kinds[0].from_pretrained(name)
        model = kinds[1].from_pretrained(name, use_safetensors=True)
    except errors as error:
        raise InputError(f"detector {name}: cannot be used: {_line(error)}") from None
    return processor, model.eval()


def _check_reachable(name: str) -> None:
    """Ask the hub once, so that a machine without network hears it at once, not after retries."""
    from huggingface_hub import constants

    address = f"{constants.ENDPOINT}/api/models/{name}"
    try:
        with urllib.request.urlopen(address, timeout=10):
            return
    except urllib.error.HTTPError as error:
        reason = f"the hub answers {error.code} ({error.reason})"
    except (OSError, ValueError) as error:
        reason = f"no network to download it ({_line(error)})"
    raise InputError(f"detector {name}: neither a local folder nor downloaded before; {reason}")


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
