"""Which category of the annotations each class of the model is scored against."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeq.errors import InputError, Key, listed

if TYPE_CHECKING:
    from edgeq.evaluation.annotations import Annotations
    from edgeq.spec.recipe import Task

_NAMED = 10
_REMEDY = "write the names alike, map them in 'task.categories', or set 'task.ignore_unmatched'"


@dataclass(frozen=True)
class Partners:
    """Class index to category id, and what has to be said of classes and categories left over."""

    categories: dict[int, int]
    notes: tuple[str, ...] = ()


def partners(annotations: Annotations, task: Task) -> Partners:
    """Each class with the category of its name, or the one that the recipe maps it to.

    A class or an annotated category without a partner is not scored, so that AP would be that of
    the others: InputError, unless the recipe has it so; where it maps the classes itself, those
    that it leaves out are meant to be. InputError too for a map that contradicts equal names.
    """
    by_name = {_plain(category.name): category.id for category in annotations.categories}
    if task.categories is None:
        found = {i: by_name[_plain(n)] for i, n in enumerate(task.classes) if _plain(n) in by_name}
        lone_classes = [name for i, name in enumerate(task.classes) if i not in found]
    else:
        found, lone_classes = task.categories, []
        _check_map(annotations, task, by_name)
    count = Counter(instance.category_id for instance in annotations.instances)
    lone = [c for c in annotations.categories if count[c.id] and c.id not in found.values()]
    names = [category.name for category in annotations.categories]
    sides = [
        *_side(lone_classes, "class", "category", names),
        *_side([category.name for category in lone], "annotated category", "class", task.classes),
    ]
    if not sides:
        return Partners(found)
    if found and task.ignore_unmatched:
        instances = sum(count[category.id] for category in lone)
        left_out = _counted(len(lone_classes), "class", "classes")
        left_out += f", {_counted(len(lone), 'category', 'categories')}"
        left_out += f" ({_counted(instances, 'instance', 'instances')})"
        return Partners(found, (f"not scored: {left_out}; {'; '.join(sides)}",))
    key = Key("task", "classes" if task.categories is None else "categories")
    raise InputError(key, f"{'; '.join(sides)} (in {annotations.where})", _REMEDY)


def _check_map(annotations: Annotations, task: Task, by_name: dict[str, int]) -> None:
    names = {category.id: category.name for category in annotations.categories}
    unknown = sorted(set((task.categories or {}).values()) - names.keys())
    if unknown:
        what = f"class is mapped to category {unknown[0]}, which the annotations do not have"
        raise InputError(annotations.where, what, f"they have {sorted(names)[:10]}")
    crossed = [
        f"class {index} '{task.classes[index]}' to category {id_} '{names[id_]}', not {equal}"
        for index, id_ in (task.categories or {}).items()
        if (equal := by_name.get(_plain(task.classes[index]), id_)) != id_
    ]
    if crossed:
        what = f"contradicts equal names, as it maps {listed(crossed, _NAMED)}"
        remedy = "leave it out, as equal names find each other, or correct the names"
        raise InputError(Key("task", "categories"), what, remedy)


def _side(names: list[str], noun: str, other: str, partners: Collection[str]) -> Iterable[str]:
    if names:
        many = f"{noun.removesuffix('y')}ies" if noun.endswith("y") else f"{noun}es"
        said = f"1 {noun} has" if len(names) == 1 else f"{len(names)} {many} have"
        yield f"{said} no {other}: {listed([_nearest(name, partners) for name in names], _NAMED)}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _nearest(name: str, partners: Collection[str]) -> str:
    near = difflib.get_close_matches(name, partners, 1)
    if near == [name]:
        return f"'{name}', which the map leaves out"
    return f"'{name}' (nearest '{near[0]}')" if near else f"'{name}'"


def _plain(name: str) -> str:
    return name.strip().lower()
