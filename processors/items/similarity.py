"""How alike items are by what the catalogue says of them.

Two measures: content, from category, brand, price and tags, and the cosine of the embeddings. Both are the same numbers
wherever items lie and whoever else is compared, bit for bit: content takes but single operations of floating point, and
embeddings are such that products and sums are exact (:data:`processors.items.catalogue_fields.EMBEDDING_STEP`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Floats, Ints
from processors.items.attributes import AttributeColumns

Vectors = npt.NDArray[np.float32]

CATEGORY, BRAND, PRICE, TAGS = 0.2, 0.2, 0.2, 0.4
"""What each fact contributes at most; they sum to one. How much content counts is for the ranker to learn."""


def content(attributes: AttributeColumns, one: Ints, other: Ints, shared_tags: Ints) -> Floats:
    """How alike items are in category, brand, price and tags, in [0, 1]: :func:`kinship` and nearness of price."""
    log_price = attributes.log_price
    return kinship(attributes, one, other, shared_tags) + price_nearness(log_price[one], log_price[other])


def kinship(attributes: AttributeColumns, one: Ints, other: Ints, shared_tags: Ints) -> Floats:
    """How alike items are in what seldom changes.

    The weighted sum of: same category, same brand, and the share of common tags among all tags of the two (Jaccard).
    What is unknown of either counts as different.

    Parameters
    ----------
    one, other
        Slots; shapes that broadcast to that of the result.
    shared_tags
        How many tags each pair has in common, of the result's shape.
    """
    same_category = (attributes.category[one] == attributes.category[other]) & (attributes.category[one] > 0)
    same_brand = (attributes.brand[one] == attributes.brand[other]) & (attributes.brand[one] > 0)
    tags = attributes.tag_count[one].astype(np.int64) + attributes.tag_count[other] - shared_tags
    value = CATEGORY * same_category + BRAND * same_brand + TAGS * (shared_tags / np.maximum(tags, 1))
    return np.asarray(value, np.float64)


def price_nearness(one: Floats, other: Floats) -> Floats:
    """What nearness of price contributes: a weight times ``1 / (1 + |difference|)``, 0 where one is unknown.

    Parameters
    ----------
    one, other
        Logarithms of prices, NaN where unknown.
    """
    return np.nan_to_num(PRICE / (1.0 + np.abs(one - other)), nan=0.0)


def shared_with_all(attributes: AttributeColumns, one: Ints, others: Ints) -> Ints:
    """Numbers of common tags of each of some items with each of others, shape (one, others).

    Complexity: a look at the tags of the others for each one.
    """
    shared = np.zeros((len(one), len(others)), np.int64)
    if len(attributes.tags):
        tags = attributes.tags[others, : int(attributes.tag_count[others].max(initial=0))]
        mine = np.zeros(attributes.tag_numbers, np.bool_)
        for row, slot in enumerate(one.tolist()):
            own = attributes.tags[slot]
            mine[own] = True
            mine[0] = False
            shared[row] = np.count_nonzero(mine[tags], axis=1)
            mine[own] = False
    return shared


def shared_in_pairs(attributes: AttributeColumns, one: Ints, other: Ints) -> Ints:
    """Numbers of common tags of pairs of items, of the shape of both."""
    if not len(attributes.tags):
        return np.zeros(len(one), np.int64)
    width = int(max(attributes.tag_count[part].max(initial=0) for part in (one, other)))
    a, b = attributes.tags[one, :width], attributes.tags[other, :width]
    return np.asarray(((a[:, :, None] == b[:, None, :]) & (a[:, :, None] > 0)).sum(axis=(1, 2)), np.int64)


def cosine_with_all(attributes: AttributeColumns, one: Ints, others: Ints) -> Floats:
    """Cosines of embeddings, shape (one, others), in [0, 1]: 0 where they point apart or one has none."""
    embedding = attributes.embedding
    if not len(embedding):
        return np.zeros((len(one), len(others)))
    cosines: Vectors = embedding[one] @ embedding[others].T
    return np.clip(cosines, 0.0, 1.0).astype(np.float64)


def cosine_in_pairs(attributes: AttributeColumns, one: Ints, other: Ints) -> Floats:
    """Cosines of the embeddings of pairs of items, likewise."""
    embedding = attributes.embedding
    if not len(embedding):
        return np.zeros(len(one))
    cosines: Vectors = np.einsum("pd,pd->p", embedding[one], embedding[other])
    return np.clip(cosines, 0.0, 1.0).astype(np.float64)
