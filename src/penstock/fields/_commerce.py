"""What happened: properties of events, products, and the names of e-commerce events."""

# No `from __future__ import annotations`: the catalogues read these TypedDicts when the module
# is imported, and as real objects they are three times cheaper than as text.
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from penstock.fields._catalogue import Catalogue, Values
from penstock.fields._rules import (
    Anything,
    Flag,
    Identifier,
    Integer,
    Number,
    Objects,
    Text,
    TextOrList,
    TextOrNumber,
)


class ProductFields(TypedDict, total=False):
    """Keywords of `Product`."""

    product_id: Identifier
    sku: Identifier
    category: Text
    name: Text
    brand: Text
    variant: TextOrNumber
    price: Number
    quantity: Number
    coupon: Text
    position: Integer
    url: Text
    image_url: Text
    id: Identifier


class Product(Catalogue, fields=ProductFields):
    """
    One product, as in ``Properties(products=[Product(product_id="p-1", price=9.5)])``.

    ``product_id`` is the name of the e-commerce specification, version 2. ``id`` is the older
    one, which the vendors' Go SDKs still write.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, values: Values = None, /, **fields: Unpack[ProductFields]) -> None: ...


class PropertiesFields(TypedDict, total=False):
    """Keywords of `Properties`."""

    revenue: Number
    currency: Text
    value: Number
    # of a page or a screen
    name: Text
    category: Text
    path: Text
    referrer: Text
    search: Text
    title: Text
    url: Text
    keywords: TextOrList
    # of an order
    order_id: Identifier
    checkout_id: Identifier
    affiliation: Text
    total: Number
    subtotal: Number
    shipping: Number
    tax: Number
    discount: Number
    coupon: Text
    products: Objects
    repeat: Flag
    step: Integer
    shipping_method: Text
    payment_method: Text
    coupon_id: Identifier
    coupon_name: Text
    reason: Text
    # of a product
    product_id: Identifier
    sku: Identifier
    brand: Text
    variant: TextOrNumber
    price: Number
    quantity: Number
    position: Integer
    image_url: Text
    # of a list, a cart, a promotion, a share, a review
    cart_id: Identifier
    list_id: Identifier
    wishlist_id: Identifier
    wishlist_name: Text
    promotion_id: Identifier
    creative: Text
    query: Text
    filters: Anything
    sorts: Anything
    share_via: Text
    share_message: Text
    recipient: Text
    review_id: Identifier
    review_body: Text
    rating: TextOrNumber
    # the older names of order_id and product_id
    order_id_v1: Identifier
    id: Identifier


class Properties(Catalogue, fields=PropertiesFields, wire={"order_id_v1": "orderId"}):
    """
    Properties of an event, a page or a screen.

    Names are those of Segment's e-commerce specification, version 2, and of its page and
    screen calls. Version 1 and the vendors' Go SDKs write ``orderId`` where version 2 has
    ``order_id``, and ``id`` where it has ``product_id``. Here ``order_id=`` and
    ``product_id=`` give the names of version 2; ``order_id_v1=`` gives ``orderId`` and ``id=``
    gives ``id``, for pipelines that still read those.

    Source: segmentio/segment-docs, spec/ecommerce/v2; segmentio/analytics-go, properties.go.

    .. versionadded:: 0.1
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(
            self, values: Values = None, /, **fields: Unpack[PropertiesFields]
        ) -> None: ...


class Ecommerce:
    """
    Names of the e-commerce events, version 2, as plain text.

    Source: segmentio/segment-docs, spec/ecommerce/v2.

    .. versionadded:: 0.1
    """

    PRODUCTS_SEARCHED: Final = "Products Searched"
    PRODUCT_LIST_VIEWED: Final = "Product List Viewed"
    PRODUCT_LIST_FILTERED: Final = "Product List Filtered"
    PROMOTION_VIEWED: Final = "Promotion Viewed"
    PROMOTION_CLICKED: Final = "Promotion Clicked"
    PRODUCT_CLICKED: Final = "Product Clicked"
    PRODUCT_VIEWED: Final = "Product Viewed"
    PRODUCT_ADDED: Final = "Product Added"
    PRODUCT_REMOVED: Final = "Product Removed"
    CART_VIEWED: Final = "Cart Viewed"
    CHECKOUT_STARTED: Final = "Checkout Started"
    CHECKOUT_STEP_VIEWED: Final = "Checkout Step Viewed"
    CHECKOUT_STEP_COMPLETED: Final = "Checkout Step Completed"
    PAYMENT_INFO_ENTERED: Final = "Payment Info Entered"
    ORDER_UPDATED: Final = "Order Updated"
    ORDER_COMPLETED: Final = "Order Completed"
    ORDER_REFUNDED: Final = "Order Refunded"
    ORDER_CANCELLED: Final = "Order Cancelled"
    COUPON_ENTERED: Final = "Coupon Entered"
    COUPON_APPLIED: Final = "Coupon Applied"
    COUPON_DENIED: Final = "Coupon Denied"
    COUPON_REMOVED: Final = "Coupon Removed"
    PRODUCT_ADDED_TO_WISHLIST: Final = "Product Added to Wishlist"
    PRODUCT_REMOVED_FROM_WISHLIST: Final = "Product Removed from Wishlist"
    WISHLIST_PRODUCT_ADDED_TO_CART: Final = "Wishlist Product Added to Cart"
    PRODUCT_SHARED: Final = "Product Shared"
    CART_SHARED: Final = "Cart Shared"
    PRODUCT_REVIEWED: Final = "Product Reviewed"
