"""What all catalogues share: a dict whose documented fields have names, types and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from penstock.errors import FieldError

if TYPE_CHECKING:
    from penstock.fields._rules import Rule

Values = Mapping[str, Any] | None
"""What a catalogue starts from: a mapping by wire names, taken as it is."""


class Catalogue(dict[str, Any]):
    """
    A dict of wire names that also knows the documented fields by their Python names.

    A plain dict is accepted wherever a catalogue is, and is never checked. A catalogue checks
    what is given by keyword or through `set`. An unset field is absent; False, 0 and 0.0 are
    values and stay.

    Args:
        values: To start from, by wire names. It is copied, not changed.
        fields: Documented fields by their Python names; None leaves one unset.

    Raises:
        FieldError: A keyword is no field of this catalogue, or its value is of a wrong type.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    #: ``{Python name: (wire name, rule)}``
    _documented: ClassVar[dict[str, tuple[str, Rule]]] = {}
    #: ``{wire name: Python name}``
    _by_wire: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, fields: type | None = None, wire: Mapping[str, str] = {}) -> None:
        """
        Learn the fields of a catalogue.

        Args:
            fields: A TypedDict of aliases from `_rules`.
            wire: Wire names where they differ from the Python names.
        """
        super().__init_subclass__()
        if fields is None:
            return
        cls._documented = {
            name: (wire.get(name, name), hint.__metadata__[0])
            for name, hint in fields.__annotations__.items()
        }
        cls._by_wire = {wire_name: name for name, (wire_name, _) in cls._documented.items()}

    def __init__(self, values: Values = None, /, **fields: Any) -> None:
        if values is None:
            super().__init__()
        elif isinstance(values, Mapping):
            super().__init__(values)
        else:
            raise FieldError(type(self).__name__, "values", values, "expected a mapping")
        for name, value in fields.items():
            if name not in self._documented:
                raise FieldError(type(self).__name__, name, value, self._advice(name))
            self._put(name, value)

    def set(self, name: str, value: Any) -> Self:
        """
        Set one field and return this catalogue, so that calls can be chained.

        Args:
            name: A documented field, by its Python or its wire name, or a name of your own. A
                name that is both is the Python name: ``order_id``.
            value: Anything; of a documented field, its type. None removes the field.

        Raises:
            FieldError: The name is no text, or the value is of a wrong type.
        """
        if not isinstance(name, str) or not name:
            raise FieldError(type(self).__name__, "name", name, "expected a field's name")
        if name not in self._documented and name not in self._by_wire:
            self._store(name, value)
        else:
            self._put(name if name in self._documented else self._by_wire[name], value)
        return self

    def _put(self, name: str, value: Any) -> None:
        wire, rule = self._documented[name]
        if value is not None and not rule.accepts(value):
            raise FieldError(type(self).__name__, name, value, f"expected {rule.expected}")
        self._store(wire, value)

    def _store(self, wire: str, value: Any) -> None:
        if value is None:
            self.pop(wire, None)
        else:
            self[wire] = value

    def _advice(self, name: str) -> str:
        from difflib import get_close_matches

        if name in self._by_wire:
            return f"no such field; the keyword is {self._by_wire[name]!r}"
        near = get_close_matches(name, self._documented, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        return f"no such field; {meant}use set() for names of your own"
