"""Similarity of items by what the catalogue says of them: by attributes and price, and by embedding.

Two measures: content similarity, from category, brand, price and tags, and the cosine of the embeddings. Both are the
same numbers bit for bit in every process, whichever slots the items have and whatever else they are compared with:
content similarity is computed pair by pair, and embeddings are rounded so that their products and sums are exact
(:data:`processors.items.catalogue_fields.EMBEDDING_STEP`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Floats, Ints
from processors.items.attributes import AttributeColumns

Vectors = npt.NDArray[np.float32]

CATEGORY, BRAND, PRICE, TAGS = 0.2, 0.2, 0.2, 0.4
"""Highest contribution of each attribute to content similarity; they sum to one."""


def attribute_similarity(attributes: AttributeColumns, one: Ints, other: Ints, shared_tags: Ints) -> Floats:
    """Compute the similarity of items in category, brand and tags, which seldom change.

    It is the weighted sum of: same category, same brand, and the share of common tags among all tags of the two
    (Jaccard). An attribute that either item lacks counts as different.

    Parameters
    ----------
    attributes
        Columns over the slots.
    one, other
        Slots; their shapes broadcast to that of the result.
    shared_tags
        Number of tags each pair has in common, of the result's shape.
    """
    same_category = (attributes.category[one] == attributes.category[other]) & (attributes.category[one] > 0)
    same_brand = (attributes.brand[one] == attributes.brand[other]) & (attributes.brand[one] > 0)
    tags = attributes.tag_count[one].astype(np.int64) + attributes.tag_count[other] - shared_tags
    value = CATEGORY * same_category + BRAND * same_brand + TAGS * (shared_tags / np.maximum(tags, 1))
    return np.asarray(value, np.float64)


def price_nearness(one: Floats, other: Floats) -> Floats:
    """Compute the contribution of similar prices: :data:`PRICE` times ``1 / (1 + |difference|)``, 0 if one is unknown.

    Parameters
    ----------
    one, other
        Logarithms of prices, NaN where unknown; their shapes broadcast to that of the result.
    """
    return np.nan_to_num(PRICE / (1.0 + np.abs(one - other)), nan=0.0)


def shared_with_all(attributes: AttributeColumns, one: Ints, others: Ints) -> Ints:
    """Count the tags that each of some items shares with each of others, shape (one, others).

    Complexity: linear in the tags of ``others`` for each of ``one``.
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


def cosine_with_all(attributes: AttributeColumns, one: Ints, others: Ints) -> Floats:
    """Compute cosines of embeddings, shape (one, others), in [0, 1]: 0 for negative ones and for items without any."""
    embedding = attributes.embedding
    if not len(embedding):
        return np.zeros((len(one), len(others)))
    cosines: Vectors = embedding[one] @ embedding[others].T
    return np.clip(cosines, 0.0, 1.0).astype(np.float64)
