"""The Faust app that the workers run on."""

from __future__ import annotations

from pathlib import Path

import faust
from faust.types.transports import TransportT

from streams.kafka.clients import bootstrap_servers, member_name
from streams.kafka.faust_transport import BatchTransport
from streams.settings.sections import Settings

_REQUEST_S = 20.0


class FaustApp(faust.App):
    """Faust app on the micro-batching transport.

    Faust's producer, web server, leader topic and tables are turned off: nothing here uses them.

    Parameters
    ----------
    settings
        Brokers, consumer group and state directory.
    """

    def __init__(self, settings: Settings) -> None:
        kafka = settings.kafka
        self.nearstream_settings = settings
        super().__init__(
            kafka.group,
            broker=";".join(f"kafka://{broker}" for broker in bootstrap_servers(kafka)),
            env_prefix="NEARSTREAM_FAUST_",
            broker_client_id=member_name(settings),
            web_enabled=False,
            store="memory://",
            datadir=str(Path(settings.worker.state_dir) / "faust"),
            topic_disable_leader=True,
            topic_allow_declare=False,
            stream_wait_empty=False,
            stream_buffer_maxsize=64,
            broker_session_timeout=float(kafka.session_timeout_s),
            # A broker that was killed and started again leaves some requests without an answer. Joining may take as
            # long as another member's session.
            broker_request_timeout=max(_REQUEST_S, 2.0 * kafka.session_timeout_s),
            broker_commit_interval=2.0,
            # Stalls are the watchdog's business, which shows them on /healthz: Faust's timeouts are put out of reach.
            stream_processing_timeout=86_400.0,
            broker_commit_livelock_soft_timeout=86_400.0,
            autodiscover=False,
        )
        self.boot_strategy.enable_kafka_producer = False

    def _new_transport(self) -> TransportT:
        return BatchTransport(self.conf.broker_consumer, self)
