"""Walking the models of the contract by the names that a user writes."""

import types
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from pfpnas_operator.documents.problems import FieldPath


def field_types(model: type[BaseModel]) -> dict[str, Any]:
    """The annotations of a model's fields by their names in YAML."""
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types an annotation allows: unions taken apart, `Annotated` unwrapped."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(found for part in get_args(annotation) for found in alternatives(part))
    return (annotation,)


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation allows, or None when it is of plain values."""
    for found in alternatives(annotation):
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return None


def item_type(annotation: Any) -> Any:
    """The type of a list's items; None when the annotation is no list."""
    lists = (found for found in alternatives(annotation) if get_origin(found) is tuple)
    return next((get_args(found)[0] for found in lists), None)


def takes_text(annotation: Any) -> bool:
    """Whether a value of this annotation is written as text (also: one of several words, a moment)."""
    return any(
        found in (str, datetime) or (get_origin(found) is Literal and isinstance(get_args(found)[0], str))
        for found in alternatives(annotation)
    )


def model_at(root: type[BaseModel], path: FieldPath) -> type[BaseModel] | None:
    """The model of the mapping at a path, or None."""
    annotation: Any = root
    for part in path:
        if isinstance(part, int):
            annotation = item_type(annotation)
        else:
            model = model_of(annotation)
            annotation = field_types(model).get(part) if model else None
        if annotation is None:
            return None
    return model_of(annotation)
