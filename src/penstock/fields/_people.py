"""Who: traits of a person or a group."""

# No `from __future__ import annotations`: see _commerce.py.
from typing import TYPE_CHECKING, TypedDict, Unpack

from penstock.fields._catalogue import Catalogue, Values
from penstock.fields._rules import (
    Identifier,
    Integer,
    Moment,
    Text,
    TextOrNumber,
    TextOrObject,
)


class AddressFields(TypedDict, total=False):
    """Keywords of `Address`."""

    city: Text
    country: Text
    postal_code: TextOrNumber
    state: Text
    street: Text


class Address(Catalogue, fields=AddressFields, wire={"postal_code": "postalCode"}):
    """
    A street address, as in ``Traits(address=Address(city="Oslo"))``.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[AddressFields]) -> None: ...


class CompanyFields(TypedDict, total=False):
    """Keywords of `Company`."""

    name: Text
    id: Identifier
    industry: Text
    employee_count: Integer
    plan: Text


class Company(Catalogue, fields=CompanyFields):
    """
    The company a person belongs to, as in ``Traits(company=Company(name="Initech"))``.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[CompanyFields]) -> None: ...


class TraitsFields(TypedDict, total=False):
    """Keywords of `Traits`."""

    address: TextOrObject
    age: Integer
    avatar: Text
    birthday: Moment
    company: TextOrObject
    created_at: Moment
    description: Text
    email: Text
    first_name: Text
    gender: Text
    id: Identifier
    last_name: Text
    name: Text
    phone: TextOrNumber
    title: Text
    username: Text
    website: Text
    # of a group
    employees: Integer
    industry: Text
    plan: Text


class Traits(
    Catalogue,
    fields=TraitsFields,
    wire={"created_at": "createdAt", "first_name": "firstName", "last_name": "lastName"},
):
    """
    Facts of a person (identify) or of a group (group, group_identify).

    Source: segmentio/segment-docs, spec/identify and spec/group; segmentio/analytics-go,
    traits.go.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[TraitsFields]) -> None: ...
