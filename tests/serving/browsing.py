"""The page in a real browser: services on ports, what a person does with the page, and what axe finds wrong with it."""

import shutil
import socket
import threading
import time
import warnings
from contextlib import contextmanager

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A host that is not this machine cannot even be looked up: the page has to do without.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1280,1600",
)
#: Rules of WCAG 2.1, levels A and AA, and axe's own of good practice.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


@contextmanager
def addresses_of(modules):
    """Each service on a port of its own: its address by its name."""
    import uvicorn
    from _bentoml_impl.server.app import ServiceAppFactory

    servers, found = [], {}
    for name, module in modules.items():
        service = module.RelapseService
        service.inject_config()
        listening = socket.create_server(("127.0.0.1", 0))
        found[name] = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = ServiceAppFactory(service, is_main=True)()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, loop="asyncio", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        servers.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.05)
    yield found
    for server, thread in servers:
        server.should_exit = True
        thread.join()


def wait(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 15).until(condition)


def open_page(browser, address):
    browser.get(address)
    wait(
        browser,
        lambda b: b.find_elements("css selector", "#fields input") or b.find_element("id", "token").is_displayed(),
    )


def fill(browser, patient):
    from selenium.webdriver.support.ui import Select

    for name, value in patient.items():
        field = browser.find_element("id", f"field-{name}")
        if field.tag_name == "select":
            Select(field).select_by_value(str(value))
        else:
            field.clear()
            field.send_keys("" if value is None else str(value))


def send(browser):
    browser.find_element("id", "submit").click()
    wait(browser, lambda b: b.find_element("id", "submit").is_enabled())
    wait(browser, lambda b: b.find_element("id", "result").is_displayed() or b.find_element("id", "summary").text)


def faults(browser):
    """What axe finds wrong with the page as it is now."""
    from axe_core_python.selenium import Axe

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Axe().run(browser, options=RULES)
    return [(item["id"], [node["html"][:120] for node in item["nodes"]]) for item in found["violations"]]


def complaints(browser):
    """Errors of the browser itself but for refused requests: a policy broken, a script failed, a host not found."""
    return [line["message"] for line in browser.get_log("browser") if "status of 4" not in line["message"]]


def sized(browser, width):
    """As on a screen of this width; below 500 on a phone."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": width < 500},
    )


def shown(browser, selector):
    """The size of an image once it is there."""
    size = "const i = document.querySelector(arguments[0]); return i && i.complete ? i.naturalWidth : 0"
    return wait(browser, lambda b: b.execute_script(size, selector))
