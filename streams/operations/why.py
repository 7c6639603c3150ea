"""Answers to "why was this shown": what a decision or a recommendation rested on, from the topics of a system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition

from processors.ads.no_bid import NoBid, reason_of
from processors.common.errors import NearstreamError
from processors.common.topics import DECISION_LOG_TOPIC, RECOMMENDATIONS_TOPIC
from processors.users.ad_history import PAID_FOR
from streams.kafka.consumer import read_all
from streams.settings.sections import Settings

_AD = "/ad"


def find_logged(settings: Settings, consumer: KafkaConsumer, id_: str) -> dict[str, Any]:
    """Find the logged decision, or the recommendation, of an id.

    This reads a whole partition from the beginning, and the others too if the id is not on the one that it names.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.
    id_
        Id of a decision, which ends with ``/ad``, or of a recommendation.

    Returns
    -------
    dict
        The message by field.

    Raises
    ------
    NearstreamError
        If the text is no id, or nothing with this id is kept any more.
    """
    parts = id_.split("/")
    if len(parts) != 4 or not parts[1].isdigit() or int(parts[1]) >= settings.topics.partitions:
        raise NearstreamError(f"{id_!r} is no id: expected one such as events.browse.v1/3/1208{_AD}")
    topic, field = (
        (DECISION_LOG_TOPIC, "decision_id") if id_.endswith(_AD) else (RECOMMENDATIONS_TOPIC, "recommendation_id")
    )
    # A forwarded event is answered on the partition of its user, which the id does not name.
    for partition in [int(parts[1]), *(p for p in range(settings.topics.partitions) if p != int(parts[1]))]:
        for record in read_all(consumer, [TopicPartition(topic, partition)]):
            if record.value is not None and id_.encode() in record.value:
                fields: dict[str, Any] = msgspec.json.decode(record.value)
                if fields.get(field) == id_:
                    return fields
    raise NearstreamError(
        f"nothing with the id {id_!r} is kept on {topic}: it is too old, or never was; "
        f"`nearstream tail {topic} --from-beginning` shows what is"
    )


def in_words(fields: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that describe a decision or a recommendation to a person.

    Parameters
    ----------
    fields
        The message, from :func:`find_logged`.
    """
    if "recommendation_id" in fields:
        yield f"{fields['user_id']} at {fields['placement']}, {fields['generated_at']}, by {fields['model_version']}"
        for item in fields["items"]:
            reasons = "; ".join(str(reason.get("text", reason["kind"])) for reason in item["reasons"])
            yield f"{item['rank']:>3}  {item['item_id']:<32} {item['score']:>9.4f}  {reasons}"
        return
    who = fields["user_id"] or "somebody who did not agree to be known"
    yield f"{who} at {fields['placement']}, {fields['at']}"
    if "cid" in fields:
        yield (
            f"shown: {fields['cid']} with {fields['crid']}, {_price_in_words(fields)}; click "
            f"probability {fields['p_click']}, chosen among its creatives with probability {fields['propensity']}"
        )
    else:
        yield f"nothing shown: {NoBid(fields['nbr']).text}"
    for candidate in fields["candidates"]:
        loss = candidate.get("loss", candidate.get("nbr", 0))  # older releases logged no-bid reasons
        worth = f"worth {candidate['value']:.4f} a thousand impressions, " if candidate.get("value") else ""
        yield f"  {candidate['cid']:<32} {worth}{reason_of(loss).text if loss else 'won'}"
    number = fields.get("able", 0)
    if len(fields["candidates"]) < number:
        yield f"  {number} campaigns could have taken part; this decision is not among those logged in full"


def _price_in_words(fields: dict[str, Any]) -> str:
    """Say what an ad costs: a thousand impressions, and each click or purchase if that is what is paid for.

    Older releases logged only the latter, or the price of one impression.
    """
    model = fields["model"]
    each = f"{fields.get('charge', fields['price'])} a {PAID_FOR[model]}"
    if "charge" not in fields:
        return f"at {each}"
    price = f"at {fields['price']} a thousand impressions"
    return price if model == "cpm" else f"{price}, {each}"
