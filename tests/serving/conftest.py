"""Served bundles: a predictor and an in-process client for each kind of endpoint."""

import importlib.util
import sys
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from relapse.bundle.load import load_bundle
from relapse.bundle.validations import Validation, write_validations
from relapse.serving.predictor import Predictor
from tests.bundle.blocks import Invented, invented
from tests.bundle.making import ROOT, small_bundle
from tests.project import without
from tests.serving.browsing import BROWSER, DRIVER, OPTIONS


@pytest.fixture(scope="session")
def bundles(tmp_path_factory, cohorts, _tables) -> dict[str, Path]:
    """A bundle of either cohort."""
    folder = tmp_path_factory.mktemp("served")
    for name, candidate in (("gbsg", "linear"), ("wpbc", "xgboost")):
        small_bundle(folder / name, cohorts[name], _tables[name], candidate)
    found = (Validation(cohort="elsewhere", result="ROC AUC 0.700", day="2026-11-27", run="ab12"),)
    write_validations(folder / "wpbc", model="relapse-wpbc", version="3", asked="2026-11-28", found=found)
    return {name: folder / name for name in ("gbsg", "wpbc")}


@pytest.fixture(scope="session")
def predictors(bundles) -> dict[str, Predictor]:
    """A predictor for either cohort."""
    return {name: Predictor(load_bundle(folder)) for name, folder in bundles.items()}


def service_of(folder: Path, name: str, **environment: str):
    """The service module, imported for a bundle and an environment."""
    spec = importlib.util.spec_from_file_location(f"service_{name}", ROOT / "bento" / "service.py")
    module = importlib.util.module_from_spec(spec)
    # BentoML looks the module of a service's annotations up here.
    sys.modules[spec.name] = module
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        for key, value in {"RELAPSE_BUNDLE": str(folder), **environment}.items():
            patch.setenv(key, value)
        # BentoML 1.4 uses what pathspec and others have deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def services(bundles):
    """The service module, imported once for either cohort."""
    return {name: service_of(folder, name) for name, folder in bundles.items()}


@contextmanager
def client_of(service):
    """An HTTP client of a service's whole application, without a network."""
    with warnings.catch_warnings():
        # starlette 1.10 asks for httpx2, which is not what BentoML 1.4 uses.
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient
    from _bentoml_impl.server.app import ServiceAppFactory

    service.inject_config()
    # As Service.to_asgi makes it.
    app = ServiceAppFactory(service, is_main=True)()
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def clients(services):
    """A client of either cohort's service."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(client_of(module.RelapseService)) for name, module in services.items()}


@pytest.fixture(scope="session")
def invented_cohorts(tmp_path_factory) -> dict[str, Invented]:
    """Invented cohorts with blocks: meadow has a time, harbour none."""
    folder = tmp_path_factory.mktemp("invented")
    found = [invented(folder, survival=survival) for survival in (True, False)]
    return {item.cohort.name: item for item in found}


@pytest.fixture(scope="session")
def block_bundles(tmp_path_factory, invented_cohorts) -> dict[str, Path]:
    """A bundle of either invented cohort."""
    folder = tmp_path_factory.mktemp("blocks")
    for name, item in invented_cohorts.items():
        small_bundle(folder / name, item.cohort, item.table, "linear", declaration=item.declaration)
    return {name: folder / name for name in invented_cohorts}


@pytest.fixture(scope="session")
def block_services(block_bundles):
    """The service module, imported once for either invented cohort."""
    return {name: service_of(folder, name) for name, folder in block_bundles.items()}


@pytest.fixture(scope="session")
def block_clients(block_services):
    """A client of either invented cohort's service."""
    with ExitStack() as stack:
        modules = block_services.items()
        yield {name: stack.enter_context(client_of(module.RelapseService)) for name, module in modules}


@pytest.fixture(scope="session")
def lake_service(lake):
    """The service module, imported for the cohort with images."""
    return service_of(lake.bundle, "lake")


@pytest.fixture(scope="session")
def lake_client(lake_service):
    """A client of the service of the cohort with images."""
    with client_of(lake_service.RelapseService) as client:
        yield client


@pytest.fixture(scope="session")
def pond_service(pond):
    """The service module, imported for the cohort with films."""
    return service_of(pond.bundle, "pond")


@pytest.fixture(scope="session")
def pond_client(pond_service):
    """A client of the service of the cohort with films."""
    with client_of(pond_service.RelapseService) as client:
        yield client


@pytest.fixture
def patients(tables, cohorts) -> dict[str, dict[str, object]]:
    """A valid patient of either cohort, inside what training has seen."""
    wpbc = tables["wpbc"][cohorts["wpbc"].predictors].median()
    return {
        "gbsg": {
            "age": 57,
            "menostat": "postmenopausal",
            "tsize": 31.25,
            "tgrade": "II",
            "pnodes": 4,
            "progrec": 90.5,
            "estrec": 77,
            "horTh": "yes",
        },
        "wpbc": wpbc.to_dict() | {"pnodes": 2},
    }


@pytest.fixture(scope="module")
def browser():
    """A headless browser that reaches nothing but this machine."""
    if not (BROWSER and DRIVER):
        without("Chromium with its driver (Debian packages chromium and chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for option in OPTIONS:
        options.add_argument(option)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        yield driver
