"use strict";
// The page: a form made from GET /schema, its errors beside the fields, and the answer of POST /predict and /explain.

const find = (id) => document.getElementById(id);
let asked = null;
let token = "";

function make(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function percent(share) {
  if (share > 0 && share < 0.01) return "less than 1%";
  if (share < 1 && share > 0.99) return "more than 99%";
  return `${Math.round(100 * share)}%`;
}

async function ask(path, body) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  return fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
}

async function start() {
  let response;
  try {
    response = await ask("schema");
  } catch {
    find("about").textContent = "The service does not answer. Reload the page to try again.";
    return;
  }
  const locked = response.status === 401;
  find("token-part").hidden = !locked;
  if (locked) {
    find("about").textContent = "";
    find("token-error").textContent = token ? "This is not the token of this service." : "";
    find("token").setAttribute("aria-invalid", String(Boolean(token)));
    find("token").focus();
    return;
  }
  if (!response.ok) {
    find("about").textContent = `The service cannot be used from here (${response.status}).`;
    return;
  }
  asked = await response.json();
  document.title = `Risk of relapse: ${asked.title}`;
  find("about").textContent = `${asked.title}. Outcome: ${asked.outcome}.`;
  if (asked.simulated) find("about").append(" Trained on simulated patients.");
  const of = (block) => asked.fields.filter((item) => item.block === block);
  const groups = asked.blocks.map((block) => [block, of(block.name)]);
  // As they stand on the page, so that the first one with an error is the first that is seen.
  asked.fields = [...of(null), ...groups.flatMap(([, items]) => items)];
  find("fields").replaceChildren(...of(null).map(field));
  find("blocks").replaceChildren(...groups.map(([block, items]) => blockPart(block, items)));
  if (asked.films) find("film-part").replaceChildren(filmPart());
  find("film-part").hidden = !asked.films;
  find("patient-part").hidden = false;
  find("open-card").hidden = false;
}

function field(item) {
  const id = `field-${item.name}`;
  const input = item.levels ? make("select", { id, name: item.name }) : make("input", { id, name: item.name, type: "text" });
  if (item.levels) {
    const none = item.optional ? "not known" : "choose …";
    input.append(make("option", { value: "" }, none), ...item.levels.map((level) => make("option", { value: level }, level)));
  } else {
    input.inputMode = item.kind === "number" ? "decimal" : "numeric";
    input.autocomplete = "off";
  }
  const mark = isRead(item.name) ? [make("p", { id: `${id}-mark`, className: "mark" })] : [];
  input.setAttribute("aria-describedby", `${id}-hint ${mark.length ? `${id}-mark ` : ""}${id}-error`);
  input.setAttribute("aria-required", String(!item.optional));
  for (const kind of ["input", "change"]) input.addEventListener(kind, () => { complain(item.name, ""); markProposal(item.name); });
  const unit = item.unit && !item.levels ? ` (${item.unit})` : "";
  const words = item.allowed.replace("; or null", "").replace(/^one of: .*/, "");
  const hint = [item.description, words, item.optional ? "may be left empty" : ""].filter(Boolean).join("; ");
  return make(
    "div",
    {},
    make("label", { htmlFor: id }, item.label + unit),
    input,
    make("p", { id: `${id}-hint`, className: "hint" }, hint),
    ...mark,
    make("p", { id: `${id}-error`, className: "error" }),
  );
}

function complain(name, text) {
  find(`field-${name}-error`).textContent = text;
  const input = find(`field-${name}`);
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** The patient as entered. What is no number goes as text, so that the service says what is wrong with it. */
function entered() {
  const patient = {};
  const gone = new Set(asked.blocks.filter(leftOut).map((block) => block.name));
  for (const item of asked.fields.filter((one) => !gone.has(one.block))) {
    const text = find(`field-${item.name}`).value.trim();
    if (!text) continue;
    const number = !item.levels && /^[+-]?(\d+([.,]\d*)?|[.,]\d+)$/.test(text);
    patient[item.name] = number ? Number(text.replace(",", ".")) : text;
  }
  if (taken && !leftOut(pictureBlock())) patient[PICTURE] = taken;
  return patient;
}

function show(problems) {
  const known = new Set(asked.fields.map((item) => item.name));
  const ofPicture = pictureBlock() ? problems.filter((problem) => problem.field === PICTURE) : [];
  const others = problems.filter((problem) => !known.has(problem.field) && !ofPicture.includes(problem));
  const general = others.map((problem) => problem.message);
  for (const problem of ofPicture) {
    const missing = problem.message.includes("required and missing");
    complainOfPicture(missing ? "Please make the picture." : problem.message, pictureInputs());
  }
  for (const problem of problems.filter((one) => known.has(one.field))) {
    const missing = problem.message.includes("required and missing");
    const allowed = problem.allowed ? ` Allowed: ${problem.allowed.replace("; or null", "")}.` : "";
    complain(problem.field, (missing ? "Please fill in." : problem.message) + allowed);
  }
  const count = problems.length - general.length;
  const parts = count ? [`${count} ${count === 1 ? "field needs" : "fields need"} another look.`] : [];
  find("summary").textContent = [...parts, ...general].join(" ");
  const first = asked.fields.find((item) => problems.some((problem) => problem.field === item.name));
  if (!first) {
    if (ofPicture.length) pictureInputs()[0].focus();
    return;
  }
  unfold(first.name);
  find(`field-${first.name}`).focus();
}

async function submit(event) {
  event.preventDefault();
  asked.fields.forEach((item) => complain(item.name, ""));
  find("summary").textContent = "";
  find("result").hidden = true;
  document.querySelector("main").classList.remove("answered");
  const patient = entered();
  const [empty] = forgotten(patient);
  if (empty) {
    find("summary").textContent = "A group of values is neither filled in nor said to be missing.";
    outOf(empty).focus();
    return;
  }
  const button = find("submit");
  button.disabled = true;
  try {
    const [answer, reasons] = await Promise.all([ask("predict?curve=true", patient), ask("explain", patient)]);
    if (answer.ok) draw(await answer.json(), reasons.ok ? await reasons.json() : null, patient);
    else show((await answer.json()).errors);
  } catch {
    find("summary").textContent = "The service could not answer. Nothing was estimated; try again.";
  } finally {
    button.disabled = false;
  }
}

function draw(answer, reasons, patient) {
  const by = answer.horizon ? ` within ${spelt(answer.horizon)}` : "";
  const hits = Math.round(100 * answer.risk);
  const of = `Of 100 patients like this one, about ${hits} are expected to have the outcome${by}.`;
  const parts = [make("p", { className: "risk" }, percent(answer.risk)), make("p", { className: "range" }, ...range(answer, by))];
  if (answer.group) parts.push(make("p", { className: "group" }, `${answer.group} risk group`));
  if (answer.positive !== undefined && answer.positive !== null) {
    const side = answer.positive ? "At or above" : "Below";
    parts.push(make("p", {}, `${side} the model’s threshold of ${percent(answer.threshold)}.`));
  }
  if (asked.blocks.length) parts.splice(0, 0, answeredBy(answer.model, reasons));
  parts.push(...fromFilm(patient), ...trust(answer.notes));
  parts.push(make("h3", {}, "Among 100 patients like this one"), people(hits, of), make("p", {}, of));
  if (answer.risks && answer.risks.length > 1) {
    const each = answer.risks.map((item) => `${percent(item.risk)} within ${spelt(item.horizon)}`);
    parts.push(make("p", {}, `The risk is ${each.join(", ")}.`));
  }
  if (answer.curve) {
    const label = `Curve of the share free of the outcome, falling from 100% to ${percent(1 - answer.risk)}${by}.`;
    parts.push(make("h3", {}, "Share free of the outcome over time"));
    parts.push(relapseFree(answer.curve, Object.entries(asked.horizons), label));
  }
  if (reasons) parts.push(...waterfall(reasons, patient), ...attention(reasons));
  const { name, version, title } = answer.model;
  parts.push(make("p", { className: "fine" }, `Model ${name}, version ${version}: ${title}.`));
  release(find("answer"));
  find("answer").replaceChildren(...parts);
  find("result").hidden = false;
  document.querySelector("main").classList.add("answered");
  find("result").focus();
  find("result").scrollIntoView({ block: "start" });
}

/** Which model answered: not to be overlooked where it is not the usual one. */
function answeredBy(model, reasons) {
  if (model.role === "champion") return make("p", { className: "by" }, `Answered by the usual model: ${model.title}.`);
  const only = reasons ? ` It looks at ${reasons.contributions.map((one) => one.label).join(", ")} only.` : "";
  return make(
    "p",
    { className: "by instead" },
    make("strong", {}, `Answered by: ${model.title}.`),
    ` It is not the usual model that answered, because ${model.because}.${only}`,
  );
}

function spelt(horizon) {
  const [count, unit] = horizon.split(" ");
  const names = { y: "year", m: "month", w: "week", d: "day" };
  return `${count} ${names[unit]}${count === "1" ? "" : "s"}`;
}

function range(answer, by) {
  const what = `risk of ${answer.outcome}${by}`;
  if (!answer.interval) return [`${what}. How sure the model is cannot be said: ${answer.certainty}`];
  const { lower, upper, level } = answer.interval;
  const text = `${what}; ${percent(level)} interval ${percent(lower)} to ${percent(upper)}.`;
  return [text, make("span", { className: "value" }, `How sure the model is. ${answer.certainty}`)];
}

/** What is said of all notes of a kind on a wide block. */
const TOGETHER = {
  imputed: "no value was given; the model fills one in",
  "left missing": "no value was given, and none is filled in",
  "outside training": "outside what was seen in training",
};

function trust(notes) {
  const labels = Object.fromEntries(asked.fields.map((item) => [item.name, item.label]));
  if (pictureBlock()) labels[PICTURE] = pictureBlock().title;
  if (!notes.length) return [make("p", {}, "Nothing about this patient is unlike those the model was trained on.")];
  const blocks = Object.fromEntries(asked.blocks.filter(isWide).map((block) => [block.name, block]));
  const of = Object.fromEntries(asked.fields.map((item) => [item.name, blocks[item.block]]));
  const lines = notes.filter((note) => !of[note.field]);
  const told = lines.map((note) => make("li", {}, (note.field ? `${labels[note.field]}: ` : "") + note.message));
  for (const block of Object.values(blocks)) {
    for (const [kind, words] of Object.entries(TOGETHER)) {
      const mine = notes.filter((note) => of[note.field] === block && note.kind === kind).map((note) => labels[note.field]);
      if (mine.length) told.push(make("li", {}, `${block.title}, ${listed(mine)}: ${words}.`));
    }
  }
  return [make("h3", {}, "Reasons to trust this less"), make("ul", { className: "notes" }, ...told)];
}

function waterfall(reasons, patient) {
  const items = Object.fromEntries(asked.fields.map((item) => [item.name, item]));
  const used = reasons.contributions.filter((one) => one.value !== 0);
  used.sort((one, other) => Math.abs(other.value) - Math.abs(one.value));
  const shown = used.slice(0, 10).map((one) => [one.label, told(items[one.field], patient, one.field), one.value]);
  const rest = used.slice(10);
  if (rest.length) shown.push([`${rest.length} other features together`, "", rest.reduce((sum, one) => sum + one.value, 0)]);
  const ends = [reasons.base];
  for (const [, , value] of shown) ends.push(ends[ends.length - 1] + value);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const rows = shown.map(([label, value, amount], at) => make(
    "tr",
    {},
    make("th", { scope: "row" }, label, make("span", { className: "value" }, value)),
    make("td", { className: "bar-cell" }, step(ends[at], ends[at + 1], low, high)),
    make("td", {}, (amount >= 0 ? "+" : "") + signed(amount)),
  ));
  const head = make("tr", {}, ...["Feature", "Lowers or raises", "By"].map((text) => make("th", { scope: "col" }, text)));
  const unused = reasons.contributions.length - used.length;
  const foot = `From ${signed(reasons.base)}, the average over typical patients, to ${signed(reasons.output)} for this `
    + `one, on the scale of the ${reasons.scale}.`
    + (unused ? ` ${unused} ${unused === 1 ? "feature has" : "features have"} no effect.` : "");
  return [
    make("h3", {}, "What raised and lowered it"),
    make("table", { className: "waterfall" }, make("thead", {}, head), make("tbody", {}, ...rows)),
    make("p", { className: "fine" }, foot),
  ];
}

function signed(value) {
  return value.toFixed(2).replace("-", "−");
}

function told(item, patient, name) {
  if (!item && pictureBlock()?.name === name) return pictureBlock().features.length > 1 ? "picture and values together" : "the picture";
  if (!item) return "all its values together";
  const value = patient[item.name];
  if (value === undefined) return "not given, filled in";
  return item.unit ? `${value} ${item.unit}` : String(value);
}

async function card() {
  const response = await ask("card");
  const text = response.ok ? await response.text() : "<p>The model card could not be read.</p>";
  const parsed = new DOMParser().parseFromString(text, "text/html");
  find("card-text").replaceChildren(...parsed.body.childNodes);
  find("card").showModal();
}

find("patient").addEventListener("submit", submit);
find("patient").addEventListener("reset", () => {
  asked.fields.forEach((item) => complain(item.name, ""));
  find("summary").textContent = "";
  resetBlocks();
  resetFilm();
  release(find("answer"));
  find("answer").replaceChildren();
  find("result").hidden = true;
  document.querySelector("main").classList.remove("answered");
});
find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  start();
});
find("open-card").addEventListener("click", card);
find("close-card").addEventListener("click", () => find("card").close());
start();
