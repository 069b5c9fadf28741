"""What comes off the wire, as the type that it has to be."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgeq.agent.errors import GARBLED
from edgeq.errors import DeviceError

P = TypeVar("P", bound=BaseModel)


def parsed_answer(kind: type[P], fields: dict[str, Any], where: str) -> P:
    """An answer as the type that it has to be; DeviceError (garbled) names the field."""
    try:
        return kind.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(map(str, first["loc"]))
        what = f"its answer is not what it should be: {kind.__name__}.{field}: {first['msg']}"
        remedy = "another version of edgeq may be at work there"
        raise DeviceError(where, what, remedy, GARBLED) from exc
