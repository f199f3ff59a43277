"""What a delivery service says of itself to whoever asks (web/docs/delivery-http.md): unsigned, proved by nothing."""

from __future__ import annotations

from typing import NamedTuple

from roomkey.errors import RoomkeyError
from roomkey.federation.calls import ServiceCaller, body_of, json_object, problem_of
from roomkey.federation.identity import check_domain
from roomkey.federation.service_answers import number_of, text_of
from roomkey.host.interface import Host

PROTOCOL = "roomkey-delivery/1"


class ServiceDescription(NamedTuple):
    """What a delivery service says of itself. `domain` is whose people it serves; `time` Unix seconds; sizes in
    bytes.
    """

    origin: str
    domain: str
    name: str
    version: str
    time: float
    max_message: int
    max_upload: int


async def describe(host: Host, origin: str) -> ServiceDescription:
    """Asks the service at `origin`. Errors: as `DeliveryService.describe`."""
    try:
        answer = await ServiceCaller(host, origin).response("GET", "/v1/service")
    except RoomkeyError as error:
        if error.code != "origin-not-allowed":
            raise
        # A delivery service lets every origin read this answer, also one that it refuses.
        raise RoomkeyError("not-a-delivery-service", "expected an answer that this origin may read") from error
    try:
        if answer.status != 200:
            raise problem_of(answer)
        said = json_object(body_of(answer, "application/json"))
        limits = said.get("limits")
        if said.get("protocol") != PROTOCOL or not isinstance(limits, dict):
            raise RoomkeyError("service-error", f"expected {PROTOCOL}")
        return ServiceDescription(
            origin, check_domain(text_of(said, "domain")), text_of(said, "name"), text_of(said, "version"),
            number_of(said, "time"), number_of(limits, "maxMessage"), number_of(limits, "maxUpload"),
        )  # fmt: skip
    except RoomkeyError as error:
        if error.code == "origin-not-allowed":
            raise
        raise RoomkeyError(
            "not-a-delivery-service", "expected the description of a delivery service", status=answer.status
        ) from error
