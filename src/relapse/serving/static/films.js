"use strict";
// A film: it goes to the service, which gives back what it sees in it, and keeps nothing. Values are proposed into the form
// and say so, until somebody changes them; they are sent for a risk when the ordinary button is pressed, and not before.

/** What may be said of a film beside its file: name of the field, label, hint. */
const FILM_ABOUT = [
  ["spacing", "Spacing (mm)", "Millimetres between pixels, 0.02 to 1. Needed where the file does not say."],
  ["laterality", "Side", "Left or right breast."],
  ["view", "View", "A CC film shows no pectoral muscle."],
  ["inverted", "Dense tissue is dark", "Inverted film: its background is brighter than the breast."],
];
const AS_THE_FILE_SAYS = ["", "as the file says"];
const FILM_CHOICES = {
  laterality: [AS_THE_FILE_SAYS, ["L", "left"], ["R", "right"]],
  view: [AS_THE_FILE_SAYS, ["CC", "CC"], ["MLO", "MLO"]],
  inverted: [AS_THE_FILE_SAYS, ["true", "yes"], ["false", "no"]],
};
const FILM_PLACE = [
  ["x", "Column (x)", "Pixels from the left."],
  ["y", "Row (y)", "Pixels from the top."],
  ["radius", "Radius", "Pixels; may be left empty."],
];

/** Below this a proposal is more likely wrong than right. */
const UNSURE = 0.5;

let filmReading = null;
/** The last answer, and what was proposed by it: {value, confidence, interval, read} by the name of the feature. */
let filmShown = null;
let proposals = {};

const isRead = (name) => Object.values(asked.films || {}).includes(name);
const filmPiece = (part) => find(`film-${part}`);
const filmInput = (name) => find(`film-field-${name}`);
/** A feature's name for people. */
const labelOf = (name) => asked.fields.find((item) => item.name === name).label;

/** The part before the form: a file, what the file may not say, a button, what came of it. */
function filmPart() {
  const file = make("input", { id: "film-file", type: "file", accept: ".dcm,.dicom,.png,.pgm,.tif,.tiff" });
  file.setAttribute("aria-describedby", "film-hint film-reads film-error");
  file.addEventListener("change", anotherFilm);
  const error = make("p", { id: "film-error", className: "error" });
  error.setAttribute("role", "alert");
  const status = make("p", { id: "film-status", className: "status" });
  status.setAttribute("role", "status");
  const about = make(
    "details",
    { id: "film-about" },
    make("summary", {}, "What the file does not say: spacing, side, view, inverted"),
    make("div", { className: "fields" }, ...FILM_ABOUT.map(filmField)),
  );
  const form = make(
    "form",
    { id: "film-form", className: "block film", noValidate: true },
    make("h3", {}, "Read values from a film"),
    ...filmHints(),
    make("div", { className: "fields" }, make("div", {}, make("label", { htmlFor: file.id }, "Film"), file)),
    about,
    error,
    make("div", { className: "actions" }, make("button", { id: "film-read", type: "submit", className: "quiet" }, "Read the film")),
    status,
    make("div", { id: "film-shown", hidden: true }),
  );
  form.setAttribute("aria-labelledby", "film-title");
  form.querySelector("h3").id = "film-title";
  form.addEventListener("submit", (event) => { event.preventDefault(); readFilm(); });
  return form;
}

function filmHints() {
  const others = asked.fields.filter((item) => !isRead(item.name)).map((item) => item.label);
  const texts = [
    "One mammogram (DICOM, PNG, PGM or TIFF). The service keeps nothing of it. What it reads is proposed below: check each "
      + "value, and correct what is wrong. Two views (CC and MLO) are read one after the other: the last one read fills the form.",
    `Read from a film: ${listed(Object.values(asked.films).map(labelOf))}.`
      + (others.length ? ` Not in a film, to be filled in from elsewhere: ${listed(others)}.` : ""),
  ];
  return texts.map((text, at) => make("p", { id: at ? "film-reads" : "film-hint", className: "hint" }, text));
}

function filmField([name, label, hint]) {
  const id = `film-field-${name}`;
  const input = FILM_CHOICES[name]
    ? make("select", { id }, ...FILM_CHOICES[name].map(([value, text]) => make("option", { value }, text)))
    : make("input", { id, type: "text", inputMode: "decimal", autocomplete: "off" });
  input.setAttribute("aria-describedby", `${id}-hint film-error`);
  for (const kind of ["input", "change"]) input.addEventListener(kind, () => input.removeAttribute("aria-invalid"));
  return make("div", {}, make("label", { htmlFor: id }, label), input, make("p", { id: `${id}-hint`, className: "hint" }, hint));
}

const filmFields = () => [...document.querySelectorAll("[id^=film-field-]:not(p)")];

/** Another file: what was said of the last one does not hold for it. What the form holds stays until it is read. */
function anotherFilm() {
  stopReading();
  filmFields().forEach((input) => { input.value = ""; });
  complainOfFilm("", null);
  hideFilm();
  filmPiece("status").textContent = "";
}

/** Send the film, and show what comes back. */
async function readFilm() {
  if (filmReading) return;
  complainOfFilm("", null);
  const file = find("film-file");
  if (!file.files.length) {
    complainOfFilm("Please choose a film.", file);
    return;
  }
  const form = new FormData();
  // Under a name of ours: what a file is called may name the patient.
  form.append("film", file.files[0], "film");
  for (const input of filmFields()) {
    const name = input.id.replace("film-field-", "");
    if (input.value.trim()) form.append(name, input.value.trim().replace(",", "."));
  }
  const mine = new AbortController();
  filmReading = mine;
  filmPiece("read").setAttribute("aria-disabled", "true");
  filmPiece("status").textContent = "Reading the film …";
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch("film", { method: "POST", headers, body: form, signal: mine.signal });
    const answer = await response.json();
    if (mine.signal.aborted) return;
    if (response.ok) showFilm(answer);
    else refuseFilm(answer.errors);
  } catch {
    if (mine.signal.aborted) return;
    refuseFilm([{ message: "The service took no film: it may be too large, or the connection broke. Try again." }]);
  } finally {
    if (filmReading === mine) stopReading();
  }
}

function stopReading() {
  if (filmReading) filmReading.abort();
  filmReading = null;
  filmPiece("read").removeAttribute("aria-disabled");
}

function refuseFilm(errors) {
  filmPiece("status").textContent = "";
  const field = errors.map((problem) => problem.field).find((name) => name && find(`film-field-${name}`));
  complainOfFilm(errors.map((problem) => problem.message).join(" "), field ? filmInput(field) : null);
}

/** Say what is wrong; `input` is what mends it. */
function complainOfFilm(text, input) {
  filmPiece("error").textContent = text && text[0].toUpperCase() + text.slice(1);
  for (const one of [find("film-file"), ...filmFields()]) one.removeAttribute("aria-invalid");
  if (!input) return;
  input.setAttribute("aria-invalid", "true");
  const folded = input.closest("details");
  if (folded) folded.open = true;
  input.focus();
}

function hideFilm() {
  const shown = filmPiece("shown");
  release(shown);
  shown.replaceChildren();
  shown.hidden = true;
  filmShown = null;
}

function showFilm(answer) {
  const same = filmShown !== null;
  const typed = Object.fromEntries(FILM_PLACE.map(([name]) => [name, find(`film-field-${name}`)?.value || ""]));
  const focused = document.activeElement?.id;
  hideFilm();
  filmShown = answer;
  const shown = filmPiece("shown");
  const place = make(
    "fieldset",
    { className: "place" },
    make("legend", {}, "Where the lesion is, in pixels of the film"),
    make("div", { className: "fields" }, ...FILM_PLACE.map(filmField)),
    make("div", { className: "actions" }, make("button", { id: "film-read-there", type: "submit", className: "quiet" }, "Read there")),
  );
  shown.replaceChildren(
    make("figure", {}, filmPreview(answer), filmCaption(answer)),
    make("div", {}, make("h4", {}, "What was read"), filmTable(answer), ...filmNotes(answer), place),
  );
  shown.hidden = false;
  // A risk that was estimated of other values does not stand beside these.
  find("result").hidden = true;
  document.querySelector("main").classList.remove("answered");
  for (const [name] of FILM_PLACE) filmInput(name).value = answer.proposed ? "" : typed[name];
  // What was made anew has lost the focus.
  if (focused && shown.contains(find(focused))) find(focused).focus();
  filmPiece("status").textContent = `The film is read. ${fillIn(answer, same)}`.trim();
}

/** The painted film; a click on it marks a place and reads there. */
function filmPreview(answer) {
  const alt = "The film as it was looked at, chest wall on the left: outline of the breast, dense tissue tinted, outline of the lesion.";
  const image = drawnPicture(answer.preview, alt);
  image.addEventListener("click", (event) => {
    if (filmReading) return;
    const at = (share, axis, size) => axis.first + Math.max(0, Math.min(size - 1, share * size - 0.5)) * axis.step;
    const x = at(event.offsetX / image.clientWidth, answer.x, answer.width);
    const y = at(event.offsetY / image.clientHeight, answer.y, answer.height);
    filmInput("x").value = Math.max(0, Math.min(answer.columns - 1, Math.round(x)));
    filmInput("y").value = Math.max(0, Math.min(answer.rows - 1, Math.round(y)));
    readFilm();
  });
  const marked = answer.region ? [filmMark(answer)] : [];
  return make("div", { className: "preview" }, image, ...marked);
}

/** A cross, over the image, where was looked. */
function filmMark(answer) {
  const x = (answer.region.x - answer.x.first) / answer.x.step + 0.5;
  const y = (answer.region.y - answer.y.first) / answer.y.step + 0.5;
  const arm = answer.height / 60;
  const d = `M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`;
  const drawn = shape("svg", { viewBox: `0 0 ${answer.width} ${answer.height}`, "aria-hidden": "true" });
  // Dark below light: seen on any grey.
  drawn.append(shape("path", { class: "cross under", d }), shape("path", { class: "cross", d }));
  return drawn;
}

function filmCaption(answer) {
  const where = !answer.region
    ? "No lesion was found."
    : `The cross is where was looked for a lesion (x ${Math.round(answer.region.x)}, y ${Math.round(answer.region.y)}), `
      + `${answer.proposed ? "a place that the reader proposes" : "the place that you marked"}.`;
  const legend = "Blue: outline of the breast; orange: pectoral muscle; green: dense tissue; yellow: outline of the lesion.";
  const turned = answer.x.step < 0 ? " The film is shown mirrored: the chest wall is on the left." : "";
  return make("figcaption", {}, `${legend}${turned} ${where} Click where the lesion is to read it there, or give the place in numbers.`);
}

function filmTable(answer) {
  const rows = answer.proposals.map((one) => make(
    "tr",
    {},
    make("th", { scope: "row" }, labelOf(one.field)),
    make("td", {}, one.value === null ? "nothing" : valueOf(one), ...detail(one)),
    make("td", {}, one.confidence === null ? "" : percent(one.confidence)),
  ));
  rows.push(make("tr", {}, make("th", { scope: "row" }, "Dense tissue"), make("td", {}, `${answer.percent.toFixed(0)}% of the breast’s area`), make("td", {})));
  const head = make("tr", {}, ...["Feature", "Proposed", "Sure"].map((text) => make("th", { scope: "col" }, text)));
  return make("table", { className: "read" }, make("thead", {}, head), make("tbody", {}, ...rows));
}

const valueOf = (one) => (one.read === "size" ? `${one.value} mm` : one.value);

/** What else a value might be. */
function detail(one) {
  if (one.interval) {
    const { lower, upper, level } = one.interval;
    return [make("span", { className: "value" }, `${percent(level)} interval ${lower} to ${upper} mm; sure: within ±25%`)];
  }
  if (!one.probabilities) return [make("span", { className: "value" }, "no lesion was found to read it of")];
  const others = Object.entries(one.probabilities).filter(([name, share]) => name !== one.value && share >= 0.05);
  others.sort((first, second) => second[1] - first[1]);
  const text = others.map(([name, share]) => `${name} ${percent(share)}`).join(", ");
  const lead = one.value === null ? "no level of this model fits; " : others.length ? "else " : "";
  return lead + text ? [make("span", { className: "value" }, lead + text)] : [];
}

function filmNotes(answer) {
  if (!answer.notes.length) return [];
  return [make("ul", { className: "notes" }, ...answer.notes.map((note) => make("li", {}, note)))];
}

/** Put proposals into the form; returns what is to be said of it. Corrections of the same film stay. */
function fillIn(answer, same) {
  const replaced = [];
  const kept = [];
  const before = proposals;
  proposals = {};
  for (const one of answer.proposals) {
    const input = find(`field-${one.field}`);
    const old = before[one.field];
    const own = input.value.trim() && !(old && input.value === old.text);
    if (one.value !== null) proposals[one.field] = { ...one, text: String(one.value) };
    if (own && same) kept.push(labelOf(one.field));
    else if (one.value !== null) {
      if (own) replaced.push(labelOf(one.field));
      input.value = String(one.value);
      complain(one.field, "");
      available(one.field);
    } else if (!own) input.value = "";
    markProposal(one.field);
  }
  const said = [];
  if (kept.length) said.push(`Your own value stays: ${listed(kept)}.`);
  if (replaced.length) said.push(`Your own value was replaced: ${listed(replaced)}.`);
  return said.join(" ");
}

/** The block of a field that a film gives is there. */
function available(name) {
  const block = asked.blocks.find((one) => one.features.includes(name));
  if (!block || !leftOut(block)) return;
  outOf(block).checked = false;
  outOf(block).dispatchEvent(new Event("change"));
}

/** Say beside a field where its value comes from. */
function markProposal(name) {
  const mark = find(`field-${name}-mark`);
  if (!mark) return;
  const one = proposals[name];
  const state = one ? stateOf(name) : "";
  mark.className = `mark ${state}`.trim();
  const sure = one && `${one.confidence < UNSURE ? "only " : ""}${percent(one.confidence)} sure${one.read === "size" ? " within ±25%" : ""}`;
  if (state === "proposed") mark.textContent = `proposed from the film, ${sure}`;
  else if (state === "corrected") mark.textContent = `corrected; the film reads ${valueOf(one)}, ${sure}`;
  else mark.textContent = "";
}

function stateOf(name) {
  const text = find(`field-${name}`).value.trim();
  return text === proposals[name].text ? "proposed" : "corrected";
}

/** Which of the values behind a risk were proposed and left as they were. */
function fromFilm(patient) {
  const used = Object.keys(proposals).filter((name) => patient[name] !== undefined);
  const of = (state) => used.filter((name) => stateOf(name) === state).map(labelOf);
  const [left, changed] = [of("proposed"), of("corrected")];
  const said = [];
  if (left.length) said.push(`Proposed from the film and left as they were: ${listed(left)}.`);
  if (changed.length) said.push(`Corrected: ${listed(changed)}.`);
  return said.length ? [make("p", { id: "from-film", className: "fine" }, said.join(" "))] : [];
}

/** No film, and no proposal. */
function resetFilm() {
  if (!asked.films) return;
  filmPiece("form").reset();
  anotherFilm();
  filmPiece("about").open = false;
  const names = Object.keys(proposals);
  proposals = {};
  names.forEach(markProposal);
}
