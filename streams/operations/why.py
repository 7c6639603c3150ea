"""What a decision or a recommendation rested on, from the topics of a running system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition

from processors.ads.no_bid import NoBid
from processors.common.errors import NearstreamError
from processors.common.topics import DECISION_LOG_TOPIC, RECOMMENDATIONS_TOPIC
from streams.kafka.consumer import read_all
from streams.settings.sections import Settings

_AD = "/ad"


def find(settings: Settings, consumer: KafkaConsumer, name: str) -> dict[str, Any]:
    """The logged decision, or the recommendation, of an id.

    Complexity: reads the partition that it is on from the beginning.

    Raises
    ------
    NearstreamError
        If the id is none, or nothing of that id is kept.
    """
    parts = name.split("/")
    if len(parts) != 4 or not parts[1].isdigit() or int(parts[1]) >= settings.topics.partitions:
        raise NearstreamError(f"{name!r} is no id: expected one such as events.browse.v1/3/1208{_AD}")
    topic, field = (
        (DECISION_LOG_TOPIC, "decision_id") if name.endswith(_AD) else (RECOMMENDATIONS_TOPIC, "recommendation_id")
    )
    # A forwarded event is answered where its user is at home, which the id does not say.
    for partition in [int(parts[1]), *(p for p in range(settings.topics.partitions) if p != int(parts[1]))]:
        for record in read_all(consumer, [TopicPartition(topic, partition)]):
            if record.value is not None and name.encode() in record.value:
                fields: dict[str, Any] = msgspec.json.decode(record.value)
                if fields.get(field) == name:
                    return fields
    raise NearstreamError(f"nothing of the id {name!r} is kept on {topic}: too old, or never was")


def told(fields: dict[str, Any]) -> Iterator[str]:
    """It in words, line by line."""
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
            f"shown: {fields['cid']} with {fields['crid']}, for {fields['price']} ({fields['model']}); click "
            f"probability {fields['p_click']}, chosen among its creatives with probability {fields['propensity']}"
        )
    else:
        yield f"nothing shown: {NoBid(fields['nbr']).text}"
    for candidate in fields["candidates"]:
        nbr = candidate.get("nbr", 0)
        worth = f"worth {candidate['value']:.6f} a showing, " if candidate.get("value") else ""
        yield f"  {candidate['cid']:<32} {worth}{NoBid(nbr).text if nbr else 'won'}"
    number = fields.get("able", 0)
    if len(fields["candidates"]) < number:
        yield f"  {number} campaigns could have taken part; this decision is not among those logged in full"
