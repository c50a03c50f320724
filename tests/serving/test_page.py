"""The page in a real browser: filled in, sent, read, every error provoked, and held against WCAG."""

import json
import time

import httpx
import pytest

from tests.bundle.blocks import a_patient
from tests.serving.browsing import addresses_of, complaints, faults, fill, open_page, send, shown, sized, wait
from tests.serving.conftest import service_of
from tests.serving.test_safety import TOKEN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def addresses(services, block_services, lake_service, bundles):
    """Each service on a port of its own; ``guarded`` asks for a token."""
    guarded = service_of(bundles["gbsg"], "guarded_page", RELAPSE_TOKEN=TOKEN)
    with addresses_of({**services, **block_services, "lake": lake_service, "guarded": guarded}) as found:
        yield found


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_patient_is_filled_in_sent_and_answered(browser, addresses, patients, name, width):
    sized(browser, width)
    open_page(browser, addresses[name])
    assert browser.current_url == f"{addresses[name]}/ui"
    assert faults(browser) == []
    fill(browser, patients[name])
    send(browser)
    expected = httpx.post(f"{addresses[name]}/predict", json=patients[name]).json()
    why = httpx.post(f"{addresses[name]}/explain", json=patients[name]).json()
    text = browser.find_element("id", "result").text
    assert browser.find_element("class name", "risk").text == f"{round(100 * expected['risk'])}%"
    lower, upper = (round(100 * expected["interval"][end]) for end in ("lower", "upper"))
    assert f"95% interval {lower}% to {upper}%" in text
    assert f"{expected['group']} risk group" in text
    assert len(browser.find_elements("css selector", ".person.hit")) == round(100 * expected["risk"])
    assert len(browser.find_elements("css selector", ".person")) == 100
    assert bool(browser.find_elements("css selector", ".curve")) == (name == "gbsg")
    first = max(why["contributions"], key=lambda one: abs(one["value"]))
    assert browser.find_element("css selector", ".waterfall tbody th").text.startswith(first["label"])
    assert browser.switch_to.active_element.get_attribute("id") == "result"
    assert faults(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert complaints(browser) == []


ERRORS = [
    ("tsize", "", "Please fill in. Allowed: 1 to 200 mm."),
    ("tsize", "thirty", "Not a number. Allowed: 1 to 200 mm."),
    ("tsize", "0.5", "Below the allowed range. Allowed: 1 to 200 mm."),
    ("tsize", "1000", "Above the allowed range. Allowed: 1 to 200 mm."),
    ("tsize", "1e1", "Not a number. Allowed: 1 to 200 mm."),
    ("pnodes", "4.5", "Not a whole number. Allowed: whole number, 1 to 100."),
    ("tgrade", "", "Please fill in. Allowed: one of: I, II, III."),
]


def test_each_error_is_said_beside_its_field_and_goes_when_it_is_mended(browser, addresses, patients):
    open_page(browser, addresses["gbsg"])
    for name, value, message in ERRORS:
        fill(browser, patients["gbsg"] | {name: value})
        send(browser)
        field, error = browser.find_element("id", f"field-{name}"), browser.find_element("id", f"field-{name}-error")
        assert error.text == message
        assert browser.find_element("id", "summary").text == "1 field needs another look."
        assert not browser.find_element("id", "result").is_displayed()
        assert field.get_attribute("aria-invalid") == "true"
        assert f"field-{name}-error" in field.get_attribute("aria-describedby")
        assert browser.switch_to.active_element == field
    assert faults(browser) == []
    fill(browser, patients["gbsg"])
    assert browser.find_element("id", "field-tgrade-error").text == ""
    send(browser)
    assert browser.find_element("id", "result").is_displayed()
    assert browser.find_element("id", "summary").text == ""


def test_all_that_is_missing_is_said_at_once_and_the_first_is_reached(browser, addresses):
    open_page(browser, addresses["gbsg"])
    send(browser)
    assert browser.find_element("id", "summary").text == "8 fields need another look."
    assert browser.switch_to.active_element.get_attribute("id") == "field-tsize"


def test_reasons_to_trust_it_less_are_shown(browser, addresses, patients):
    open_page(browser, addresses["gbsg"])
    fill(browser, patients["gbsg"] | {"tsize": "150,5"})
    send(browser)
    notes = browser.find_element("class name", "notes").text
    assert "Tumour size: Outside what was seen in training, 3 to 120 mm." in notes
    open_page(browser, addresses["wpbc"])
    fill(browser, patients["wpbc"] | {"pnodes": ""})
    send(browser)
    assert "Positive lymph nodes: No value was given" in browser.find_element("class name", "notes").text


def test_the_keyboard_alone_is_enough(browser, addresses, patients):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    open_page(browser, addresses["gbsg"])
    browser.find_element("id", "field-tsize").send_keys("")
    form = httpx.get(f"{addresses['gbsg']}/schema").json()["fields"]
    keys = ActionChains(browser)
    for field in form:
        keys.send_keys(str(patients["gbsg"][field["name"]]), Keys.TAB)
    keys.send_keys(Keys.ENTER).perform()
    wait(browser, lambda b: b.find_element("id", "result").is_displayed())


def test_the_model_card_is_a_click_away_and_closes(browser, addresses):
    from selenium.webdriver.common.keys import Keys

    open_page(browser, addresses["gbsg"])
    browser.find_element("id", "open-card").click()
    wait(browser, lambda b: "To be tested." in b.find_element("id", "card-text").text)
    assert faults(browser) == []
    browser.find_element("id", "close-card").send_keys(Keys.ESCAPE)
    assert not browser.find_element("id", "card").is_displayed()


CLINIC = {"age": 61, "grade": "high", "nodes": 3, "score": 31, "assay": "B"}


def _table(cohort, sign, *rows):
    names = cohort.block_features("texture")
    lines = [
        ["patient", *names],
        *([f"Z{at}", *(row.get(name, "50.5") for name in names)] for at, row in enumerate(rows)),
    ]
    return "\n".join(sign.join(line) for line in lines)


@pytest.mark.parametrize("name", ["meadow", "harbour"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_wide_block_is_read_from_a_file_and_a_block_can_be_left_out(
    browser, addresses, invented_cohorts, tmp_path, name, width
):
    from selenium.webdriver.support.ui import Select

    sized(browser, width)
    cohort = invented_cohorts[name].cohort
    open_page(browser, addresses[name])
    assert [part.text for part in browser.find_elements("tag name", "legend")] == ["MRI texture", "Genomic assay"]
    assert not browser.find_element("id", "field-tex000").is_displayed()
    assert faults(browser) == []
    fill(browser, CLINIC)
    (tmp_path / "rows.csv").write_text(_table(cohort, ";", {}, {"tex001": "NA", "tex003": "6,1e1"}))
    browser.find_element("id", "block-texture-file").send_keys(str(tmp_path / "rows.csv"))
    status = browser.find_element("id", "block-texture-status")
    wait(browser, lambda b: status.text == "40 of 40 values taken. 1 other column was left aside.")
    row = Select(browser.find_element("id", "block-texture-row"))
    assert [option.text for option in row.options] == ["1: Z0", "2: Z1"]
    row.select_by_index(1)
    wait(browser, lambda b: status.text.startswith("39 of 40 values taken."))
    send(browser)
    whole = a_patient(cohort, tex001=None, tex003=61.0)
    expected = httpx.post(f"{addresses[name]}/predict", json=whole).json()
    assert browser.find_element("class name", "risk").text == f"{round(100 * expected['risk'])}%"
    assert browser.find_element("class name", "by").text == "Answered by the usual model: Elastic net."
    assert "MRI texture, tex001: no value was given" in browser.find_element("class name", "notes").text
    assert "all its values together" in browser.find_element("class name", "waterfall").text
    assert faults(browser) == []
    browser.find_element("id", "block-texture-out").click()
    assert not status.is_displayed()
    send(browser)
    said = browser.find_element("css selector", ".by.instead").text
    assert said.startswith("Answered by: Clinical reference. It is not the usual model")
    assert "MRI texture" in said
    assert "It looks at Age, Grade only." in said
    bare = {"age": 61, "grade": "high", "nodes": 3, "score": 31, "assay": "B"}
    expected = httpx.post(f"{addresses[name]}/predict", json=bare).json()
    assert browser.find_element("class name", "risk").text == f"{round(100 * expected['risk'])}%"
    assert faults(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert complaints(browser) == []


def test_a_block_that_is_forgotten_is_asked_for(browser, addresses):
    open_page(browser, addresses["meadow"])
    fill(browser, CLINIC)
    browser.find_element("id", "submit").click()
    error = browser.find_element("id", "block-texture-error")
    assert error.text == "Please fill in, or tick “MRI texture: not available”."
    assert browser.switch_to.active_element.get_attribute("id") == "block-texture-out"
    assert not browser.find_element("id", "result").is_displayed()
    assert faults(browser) == []
    browser.switch_to.active_element.click()
    assert error.text == ""
    send(browser)
    assert browser.find_element("id", "result").is_displayed()
    browser.find_element("css selector", "button[type=reset]").click()
    assert browser.find_element("id", "block-texture-text").is_displayed()


def _choose(browser, folder, lake):
    """Choose the files of a patient's volumes, as a person would."""
    phases, mask = lake.volumes[0]
    for at, content in enumerate([*phases, mask]):
        (folder / f"Jane Doe {at}.nii.gz").write_bytes(content)
        browser.find_element("id", f"picture-file-{at}").send_keys(str(folder / f"Jane Doe {at}.nii.gz"))


@pytest.mark.parametrize("width", [1280, 390])
def test_volumes_are_sent_their_picture_is_shown_and_the_answer_says_where_the_model_looked(
    browser, addresses, lake, tmp_path, width
):
    sized(browser, width)
    open_page(browser, addresses["lake"])
    labels = [label.text for label in browser.find_elements("css selector", ".picture label")]
    assert labels == [
        "Phase before contrast",
        "Phase 1 after contrast",
        "Last phase after contrast",
        "Mask of the tumour",
    ]
    assert faults(browser) == []
    browser.find_element("id", "picture-make").click()
    error, status = (browser.find_element("id", f"picture-{part}") for part in ("error", "status"))
    assert error.text == f"Please choose a file: {', '.join(labels)}."
    assert browser.switch_to.active_element.get_attribute("id") == "picture-file-0"
    assert faults(browser) == []
    _choose(browser, tmp_path, lake)
    assert error.text == ""
    browser.find_element("id", "picture-make").click()
    wait(browser, lambda b: status.text == "The picture is made.")
    assert shown(browser, "#picture-shown img") > 100
    phases, mask = lake.volumes[0]
    files = [*(("phase", content) for content in phases), ("mask", mask)]
    made = httpx.post(f"{addresses['lake']}/picture", files=files).json()
    assert f"{made['width'][0]:.1f} mm wide" in browser.find_element("id", "picture-shown").text
    assert faults(browser) == []
    fill(browser, {"age": 61, "grade": "high"})
    send(browser)
    asked = {"age": 61, "grade": "high", "image": made["image"]}
    expected = httpx.post(f"{addresses['lake']}/predict", json=asked).json()
    assert browser.find_element("class name", "risk").text == f"{round(100 * expected['risk'])}%"
    assert browser.find_element("class name", "by").text.startswith("Answered by the usual model")
    assert "DCE-MRI\nthe picture" in browser.find_element("class name", "waterfall").text
    assert shown(browser, "#attention img") > 100
    assert "Where the model sees a higher risk" in browser.find_element("id", "result").text
    assert "undefined" not in browser.find_element("tag name", "body").text
    assert faults(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    # Another file: the picture is no longer that of what is chosen.
    browser.find_element("id", "picture-file-1").send_keys(str(tmp_path / "Jane Doe 0.nii.gz"))
    assert status.text == "Make the picture again."
    assert not browser.find_element("id", "picture-shown").is_displayed()
    browser.find_element("id", "picture-make").click()
    wait(browser, lambda b: "the same image" in error.text)
    assert faults(browser) == []
    _choose(browser, tmp_path, lake)
    browser.find_element("id", "picture-make").click()
    wait(browser, lambda b: status.text == "The picture is made.")
    browser.find_element("css selector", "button[type=reset]").click()
    assert (status.text, browser.execute_script("return taken")) == ("", None)
    assert not browser.find_elements("css selector", "img")
    assert complaints(browser) == []


def test_a_picture_that_is_forgotten_is_asked_for_and_without_it_the_reference_answers(browser, addresses):
    open_page(browser, addresses["lake"])
    fill(browser, {"age": 61, "grade": "high"})
    browser.find_element("id", "submit").click()
    error = browser.find_element("id", "block-imaging-error")
    assert error.text == "Please make the picture, or tick “DCE-MRI: not available”."
    assert browser.switch_to.active_element.get_attribute("id") == "block-imaging-out"
    browser.switch_to.active_element.click()
    assert not browser.find_element("id", "picture-make").is_displayed()
    send(browser)
    assert "no value of block imaging (DCE-MRI) was given" in browser.find_element("css selector", ".by.instead").text
    assert not browser.find_elements("id", "attention")


def test_a_picture_that_was_not_the_services_is_refused_at_its_block(browser, addresses):
    open_page(browser, addresses["lake"])
    fill(browser, {"age": 61, "grade": "high"})
    browser.execute_script("taken = 'no picture'")
    send(browser)
    assert "is no base64" in browser.find_element("id", "picture-error").text
    assert browser.find_element("id", "summary").text == "1 field needs another look."
    assert browser.switch_to.active_element.get_attribute("id") == "picture-file-0"
    assert faults(browser) == []


def test_a_noisy_picture_is_noted_under_the_name_of_its_block(browser, addresses, lake):
    from relapse.bundle.eyes import noise
    from relapse.imaging.uploads import as_text

    open_page(browser, addresses["lake"])
    fill(browser, {"age": 61, "grade": "high"})
    browser.execute_script("taken = arguments[0]", as_text(noise(lake.images)))
    send(browser)
    assert "DCE-MRI: This picture is unlike" in browser.find_element("class name", "notes").text


PASTED = [
    ('{"tex000": 51', "This begins like JSON and is not readable as such. Nothing was taken."),
    ("[1, 2]", "JSON has to be an object of names and values, or a list of such objects. Nothing was taken."),
    ("1,2,3", "One line only: the first line holds the names of the columns, the next the values."),
    ("tex000,TEX000\n1,2", "Two columns have the same name. Nothing was taken."),
    ("tex000,tex001\n1,2\n1,2,3", "Row 2 has 3 cells, the header 2. Nothing was taken."),
    (
        'tex000\ttex001\n1,5\t"2"',
        "2 of 40 values taken. Missing: tex002, tex003, tex004, tex005, tex006 and 33 more.",
    ),
    (
        '{"tex000": 5e-7, "other": 1}',
        "1 of 40 values taken. Missing: tex002, tex003, tex004, tex005, tex006 and 33 more. 1 other column was left aside.",
    ),
]


def test_what_is_pasted_is_taken_or_told_why_not(browser, addresses):
    open_page(browser, addresses["meadow"])
    text, status = (browser.find_element("id", f"block-texture-{part}") for part in ("text", "status"))
    for pasted, said in PASTED:
        browser.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", text, pasted
        )
        assert status.text == said
    value = browser.execute_script("return document.getElementById('field-tex000').value")
    assert value == "0.0000005"
    fill(browser, CLINIC)
    send(browser)
    assert browser.find_element("id", "field-tex002").is_displayed()
    assert "other values of its block are there" in browser.find_element("id", "field-tex002-error").text


def test_that_it_is_no_medical_device_is_said_once(browser, addresses):
    open_page(browser, addresses["gbsg"])
    assert browser.find_element("tag name", "body").text.count("Not a medical device") == 1


def test_the_token_is_asked_for_and_kept_nowhere(browser, addresses, patients):
    open_page(browser, addresses["guarded"])
    browser.find_element("id", "token").send_keys("not the token", "\n")
    wait(browser, lambda b: "not the token" in b.find_element("id", "token-error").text)
    assert faults(browser) == []
    browser.find_element("id", "token").clear()
    browser.find_element("id", "token").send_keys(TOKEN, "\n")
    wait(browser, lambda b: b.find_element("id", "patient").is_displayed())
    fill(browser, patients["gbsg"])
    send(browser)
    assert browser.find_element("id", "result").is_displayed()
    stored = browser.execute_script("return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert json.loads(stored) == [{}, {}, ""]


def test_a_fault_that_is_planted_is_found(browser, addresses):
    open_page(browser, addresses["gbsg"])
    browser.get_log("browser")
    browser.execute_script("document.querySelector('#fields label').remove()")
    assert "label" in [rule for rule, _ in faults(browser)]
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.planted = 1'; document.body.append(s);"
        "const i = document.createElement('img'); i.src = 'https://elsewhere.example/x.png'; document.body.append(i)"
    )
    time.sleep(0.5)
    assert browser.execute_script("return window.planted") is None
    assert len(complaints(browser)) >= 2
