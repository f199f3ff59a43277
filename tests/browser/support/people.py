"""People in browsers of their own, with identities at real services: what a page does, driven from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import Page

from tests.browser.support.server import Site, free_port
from tests.delivery.processes import Services

WAIT_MILLISECONDS = 60_000
PROFILE = "SRTP_AEAD_AES_128_GCM"
# `told` collects what a person hears; `attempt` turns an error into plain data.
SCRIPT = """async ([options, services]) => {
  const { load, RoomkeyError } = await import("/roomkey/index.js");
  globalThis.told = [];
  globalThis.attempt = (work) => work.then((value) => ({ code: "none", value }), (error) => {
    if (!RoomkeyError.is(error)) throw error;
    return { ...error.toJSON(), sentence: error.sentence };
  });
  globalThis.hear = (call) => {
    globalThis.call = call;
    call.addEventListener("epoch", ({ detail }) => told.push(["epoch", Number(detail.epoch)]));
    call.addEventListener("members", ({ detail }) => told.push(["members",
      detail.added.map((one) => one.identity), detail.removed.map((one) => one.identity)]));
    call.addEventListener("message", ({ detail }) => told.push(["message", new TextDecoder().decode(detail.data)]));
    call.addEventListener("ended", ({ detail }) => told.push(["ended", detail.reason]));
    call.addEventListener("error", ({ detail }) => told.push(["error", detail.code]));
  };
  globalThis.state = async () => {
    const { epoch, keys } = await call.keyFingerprints({ profile: "SRTP_AEAD_AES_128_GCM" });
    return {
      epoch: Number(call.epoch), members: call.members.map((one) => one.identity), digits: call.verification.digits,
      fingerprints: keys.map((key) => key.fingerprint), of: Number(epoch), status: call.status,
    };
  };
  globalThis.me = undefined;
  globalThis.meet = (identity) => {
    globalThis.me = identity;
    identity.addEventListener("invitation", ({ detail }) => { globalThis.invitation = detail; });
    identity.addEventListener("error", ({ detail }) => told.push(["identity error", detail.code]));
  };
  globalThis.roomkey = await load({ assets: "/roomkey/", ...options });
  for (const service of services) await roomkey.setDeliveryService(service);
}"""


class Person:
    """One person's tab."""

    def __init__(self, browser: PlaywrightBrowser, site: Site, services: Services, identity: str) -> None:
        self.identity = identity
        self.site = site
        self.services = services
        self.context = browser.new_context()
        self.page = self.open_tab()

    def open_tab(self, **options: object) -> Page:
        """A tab with roomkey loaded and the services set."""
        page = self.context.new_page()
        page.set_default_timeout(WAIT_MILLISECONDS)
        page.goto(self.site.address)
        page.evaluate(SCRIPT, [options, [service.url for service in self.services.running]])
        return page

    def do(self, script: str, argument: object = None) -> Any:
        """What an async JavaScript function body returns; `it` is the argument."""
        return self.page.evaluate(f"async (it) => {{ {script} }}", argument)

    def enrol(self) -> None:
        """Enrols at the home service and publishes init keys."""
        domain = self.identity.partition("@")[2]
        home = next(service for service in self.services.running if service.domain == domain)
        code = home.enrolment_code(self.identity)
        self.do(
            "meet(await roomkey.createIdentity(it[0], { enrolment: it[1] })); await me.publishInitKeys({ count: 3 })",
            [self.identity, code],
        )

    def invite(self, *others: str) -> Any:
        """The outcome of fetching everybody's keys and inviting them all."""
        return self.do(
            "const { keys, missing } = await me.fetchInitKeys(it);"
            "if (missing.length > 0) return { code: missing[0].error.code };"
            "return attempt(call.invite(keys).then(({ added }) => added.map((one) => one.identity)))",
            list(others),
        )

    def accept(self) -> None:
        """Waits for an invitation and joins."""
        self.page.wait_for_function("() => globalThis.invitation !== undefined")
        self.do("hear(await invitation.accept())")

    def wait_for_epoch(self, epoch: int) -> None:
        self.page.wait_for_function(f"() => call.epoch === {epoch}n")

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.do("return state()")
        return found

    def close(self) -> None:
        self.context.close()


def start_services(folder: Path) -> Services:
    """email1.example and email2.example, each a process of its own."""
    services = Services(folder)
    ports = {domain: free_port() for domain in ("email1.example", "email2.example")}
    peers = [option for domain, port in ports.items() for option in ("--peer", f"{domain}=http://127.0.0.1:{port}")]
    for domain, port in ports.items():
        services.start(domain, "--port", str(port), *peers)
    return services
