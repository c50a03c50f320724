"""A film on the page, in a real browser: read, looked at, read elsewhere, corrected, and only then sent for a risk."""

import httpx
import pytest

from tests.bundle.filmed import beside, drawn, truth
from tests.serving.browsing import addresses_of, complaints, faults, open_page, send, shown, sized, wait

pytestmark = pytest.mark.slow

SUBTYPE = "Luminal B"


@pytest.fixture(scope="module")
def address(pond_service):
    """Where the service of the cohort with films is."""
    with addresses_of({"pond": pond_service}) as found:
        yield found["pond"]


@pytest.fixture
def page(browser, address):
    """The page, just opened."""
    sized(browser, 1280)
    open_page(browser, address)
    browser.get_log("browser")
    return browser


def _piece(browser, part):
    return browser.find_element("id", f"film-{part}")


def _choose(browser, folder, content, name="Jane Doe.png"):
    (folder / name).write_bytes(content)
    _piece(browser, "file").send_keys(str(folder / name))


def _read(browser, *, button="read"):
    """Press the button, and wait for what comes."""
    _piece(browser, button).click()
    _arrived(browser)


def _arrived(browser):
    wait(browser, lambda b: not _piece(b, "read").get_attribute("aria-disabled"))
    wait(browser, lambda b: _piece(b, "error").text or _piece(b, "status").text.startswith("The film is read."))


def _with_spacing(browser, folder, content, name="Jane Doe.png"):
    """A film read as somebody would who knows that its file says no spacing."""
    _choose(browser, folder, content, name)
    browser.execute_script("document.getElementById('film-about').open = true")
    _piece(browser, "field-spacing").send_keys("0,5")
    _read(browser)
    assert _piece(browser, "error").text == ""


def _share(value):
    """A probability as the page says it."""
    return "less than 1%" if value < 0.01 else "more than 99%" if value > 0.99 else f"{int(100 * value + 0.5)}%"


def _sure(value):
    """How the form says it: what is more likely wrong than right is not to be overlooked."""
    return f"{'only ' if value < 0.5 else ''}{_share(value)}"


def _place(browser, x, y):
    """Give a place in numbers; the field of the row."""
    for name, number in (("x", x), ("y", y)):
        field = _piece(browser, f"field-{name}")
        field.clear()
        field.send_keys(str(number))
    return field


def _value(browser, name):
    return browser.find_element("id", f"field-{name}").get_property("value")


def _text(one):
    """A proposed value as the form holds it."""
    return one["value"] if isinstance(one["value"], str) else f"{one['value']:g}"


def _mark(browser, name):
    return browser.find_element("id", f"field-{name}-mark").text


def _expected(address, content, **fields):
    answer = httpx.post(f"{address}/film", files={"film": content}, data={"spacing": "0.5"} | fields).json()
    return answer, {one["field"]: one for one in answer["proposals"]}


def _sent(browser):
    """Requests for a risk that the page has made."""
    names = browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    return [name for name in names if "/predict" in name or "/explain" in name]


@pytest.mark.parametrize("width", [1280, 390])
def test_a_film_is_read_its_values_are_corrected_and_the_risk_is_asked_for(browser, address, tmp_path, width):
    from selenium.webdriver.support.ui import Select

    sized(browser, width)
    open_page(browser, address)
    assert "Not in a film, to be filled in from elsewhere: Molecular subtype." in _piece(browser, "reads").text
    assert "the last one read fills the form" in _piece(browser, "hint").text
    assert faults(browser) == []
    _read_nothing(browser)
    _choose(browser, tmp_path, drawn())
    _read(browser)
    # The file does not say its spacing: the field that does opens, and waits for it.
    assert "Declare the spacing" in _piece(browser, "error").text
    assert browser.switch_to.active_element.get_attribute("id") == "film-field-spacing"
    assert browser.switch_to.active_element.get_attribute("aria-invalid") == "true"
    assert faults(browser) == []
    browser.switch_to.active_element.send_keys("0,5", "\n")
    _arrived(browser)
    assert _piece(browser, "error").text == ""
    answer, values = _expected(address, drawn())
    assert shown(browser, "#film-shown img") == answer["width"]
    assert browser.find_elements("css selector", ".preview .cross")
    for name, one in values.items():
        assert _value(browser, name) == _text(one)
        assert _mark(browser, name).startswith(f"proposed from the film, {_sure(one['confidence'])} sure")
    low, high = (values["diameter"]["interval"][end] for end in ("lower", "upper"))
    assert f"90% interval {low:g} to {high:g} mm" in browser.find_element("class name", "read").text
    assert f"{answer['percent']:.0f}% of the breast’s area" in browser.find_element("class name", "read").text
    assert faults(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert _sent(browser) == []
    # Subtype is not in a film.
    assert _value(browser, "subtype") == ""
    send(browser)
    assert browser.find_element("id", "field-subtype-error").text.startswith("Please fill in.")
    Select(browser.find_element("id", "field-subtype")).select_by_value(SUBTYPE)
    assert values["form"]["value"] != "distorted"
    Select(browser.find_element("id", "field-form")).select_by_value("distorted")
    assert _mark(browser, "form").startswith(f"corrected; the film reads {values['form']['value']}, ")
    field = browser.find_element("id", "field-diameter")
    field.clear()
    field.send_keys("41")
    assert _mark(browser, "diameter").startswith("corrected; the film reads")
    assert faults(browser) == []
    send(browser)
    patient = {name: one["value"] for name, one in values.items()}
    asked = patient | {"diameter": 41, "form": "distorted", "subtype": SUBTYPE}
    expected = httpx.post(f"{address}/predict", json=asked).json()
    assert browser.find_element("class name", "risk").text == f"{round(100 * expected['risk'])}%"
    said = "Proposed from the film and left as they were: Tumour margin, Breast density. "
    assert browser.find_element("id", "from-film").text == said + "Corrected: Tumour size, Tumour shape."
    assert "undefined" not in browser.find_element("tag name", "body").text
    assert faults(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    _read(browser)
    # The risk was that of other values.
    assert not browser.find_element("id", "result").is_displayed()
    browser.find_element("css selector", "button[type=reset]").click()
    assert not _piece(browser, "shown").is_displayed()
    assert not browser.find_elements("css selector", "img")
    assert _piece(browser, "status").text == _piece(browser, "field-spacing").get_property("value") == ""
    assert _piece(browser, "file").get_property("value") == ""
    assert [_value(browser, name) + _mark(browser, name) for name in values] == [""] * 4
    assert complaints(browser) == []


def _read_nothing(browser):
    _piece(browser, "read").click()
    assert _piece(browser, "error").text == "Please choose a film."
    assert browser.switch_to.active_element.get_attribute("id") == "film-file"


@pytest.mark.parametrize("right", [False, True])
def test_a_click_on_the_film_reads_there_and_so_do_numbers_from_the_keyboard(page, address, tmp_path, right):
    from selenium.webdriver.common.action_chains import ActionChains

    side = {"laterality": "R"} if right else {}
    content = drawn(right=right)
    _choose(page, tmp_path, content)
    page.execute_script("document.getElementById('film-about').open = true")
    _piece(page, "field-spacing").send_keys("0.5")
    _piece(page, "field-laterality").send_keys("right" if right else "as")
    _read(page)
    answer, _ = _expected(address, content, **side)
    assert shown(page, "#film-shown img") == answer["width"]
    assert ("shown mirrored" in page.find_element("css selector", "#film-shown figcaption").text) == right
    # Where there is no lesion, far down at the chest wall.
    image = page.find_element("css selector", "#film-shown img")
    width, height = page.execute_script("return [arguments[0].clientWidth, arguments[0].clientHeight]", image)
    place = beside(right=right)
    column, row = ((place[name] - answer[name]["first"]) / answer[name]["step"] + 0.5 for name in ("x", "y"))
    across, down = width * (column / answer["width"] - 0.5), height * (row / answer["height"] - 0.5)
    ActionChains(page).move_to_element_with_offset(image, round(across), round(down)).click().perform()
    _arrived(page)
    wait(page, lambda b: "the place that you marked" in b.find_element("css selector", "#film-shown figcaption").text)
    x, y = (int(_piece(page, f"field-{name}").get_property("value")) for name in ("x", "y"))
    # A mouse stands on whole pixels of the screen.
    assert (x, y) == (pytest.approx(place["x"], abs=4), pytest.approx(place["y"], abs=4))
    assert [_value(page, name) for name in ("diameter", "form", "border")] == [""] * 3
    assert _mark(page, "dense").startswith("proposed from the film")
    assert "nothing" in page.find_element("class name", "read").text
    assert faults(page) == []
    # Back to the lesion, without a mouse.
    row, column = (round(one) for one in truth(right=right).centre)
    _, values = _expected(address, content, **side, x=column, y=row)
    _place(page, column, row).send_keys("\n")
    wait(page, lambda b: _value(b, "diameter") == _text(values["diameter"]))
    assert page.switch_to.active_element.get_attribute("id") == "film-field-y"
    assert _sent(page) == []
    assert complaints(page) == []


def test_corrections_of_a_film_stay_when_it_is_read_elsewhere_and_another_film_fills_all_anew(page, tmp_path):
    _with_spacing(page, tmp_path, drawn())
    size = _value(page, "diameter")
    field = page.find_element("id", "field-diameter")
    field.clear()
    field.send_keys("41")
    _place(page, *(round(one) for one in reversed(truth().centre)))
    _read(page, button="read-there")
    assert (_value(page, "diameter"), _mark(page, "diameter").startswith("corrected")) == ("41", True)
    assert _piece(page, "status").text == "The film is read. Your own value stays: Tumour size."
    _with_spacing(page, tmp_path, drawn(), "another.png")
    assert (_value(page, "diameter"), _mark(page, "diameter").startswith("proposed")) == (size, True)
    assert _piece(page, "status").text == "The film is read. Your own value was replaced: Tumour size."
    # What was read of one place does not stand for another.
    _place(page, *beside().values())
    _read(page, button="read-there")
    assert [_value(page, name) for name in ("diameter", "form", "border")] == [""] * 3
    assert "No lesion was found" in page.find_element("css selector", "#film-shown .notes").text
    assert faults(page) == []


def test_what_was_said_of_a_film_is_not_said_of_the_next(page, tmp_path):
    _with_spacing(page, tmp_path, drawn())
    _choose(page, tmp_path, drawn(right=True), "other.png")
    assert not _piece(page, "shown").is_displayed()
    assert _piece(page, "field-spacing").get_property("value") == ""
    _read(page)
    assert "Declare the spacing" in _piece(page, "error").text


def test_a_value_taken_back_to_what_was_read_is_proposed_again(page, tmp_path):
    from selenium.webdriver.support.ui import Select

    _with_spacing(page, tmp_path, drawn())
    shape = Select(page.find_element("id", "field-form"))
    read = _value(page, "form")
    shape.select_by_value("distorted" if read == "oval" else "oval")
    assert _mark(page, "form").startswith("corrected")
    shape.select_by_value(read)
    assert _mark(page, "form").startswith("proposed")


def test_another_refusal_is_said_and_what_the_form_holds_stays(page, tmp_path):
    _with_spacing(page, tmp_path, drawn())
    before = _value(page, "diameter")
    _place(page, 100000, 1)
    _read(page, button="read-there")
    assert "outside the film" in _piece(page, "error").text
    assert page.switch_to.active_element.get_attribute("id") == "film-field-x"
    assert _value(page, "diameter") == before
    assert faults(page) == []
