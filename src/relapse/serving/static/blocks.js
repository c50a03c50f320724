"use strict";
// Blocks of features: left out as a whole, filled in by hand, or, where they are wide, from a row that is pasted or read.
// A file is read here, in the browser; only the values that stand in the form are ever sent.

/** A block of more features is not laid out field by field. */
const WIDE = 30;
const EMPTY = new Set(["", "na", "n/a", "nan", "null", "none", "."]);

const outOf = (block) => find(`block-${block.name}-out`);
const leftOut = (block) => Boolean(outOf(block) && outOf(block).checked);
const isWide = (block) => block.features.length > WIDE;

/** The part of the form for one block; `items` are its fields. */
function blockPart(block, items) {
  const id = `block-${block.name}`;
  const fields = make("div", { className: "fields" }, ...items.map(field));
  const rest = isWide(block) ? wideBody(block, items, fields) : items.length ? [fields] : [];
  const seen = block.features.includes(PICTURE) ? [picturePart(block)] : [];
  const body = make("div", { id: `${id}-body` }, ...seen, ...rest);
  const parts = [make("legend", {}, block.title)];
  if (block.description) parts.push(make("p", { className: "hint" }, block.description));
  if (block.optional) {
    const out = make("input", { id: `${id}-out`, type: "checkbox" });
    out.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
    out.addEventListener("change", () => { body.hidden = out.checked; complainOf(block, ""); });
    const instead = asked.fallback
      ? `Then the ${asked.fallback} answers, which does without.`
      : "The model does without; the answer is the same.";
    parts.push(
      make("p", { className: "tick" }, out, make("label", { htmlFor: out.id }, `${block.title}: not available`)),
      make("p", { id: `${id}-hint`, className: "hint" }, instead),
    );
  }
  parts.push(make("p", { id: `${id}-error`, className: "error" }), body);
  return make("fieldset", { id, className: "block" }, ...parts);
}

/** What a wide block has in place of its fields, which are folded away: a place to paste, a file, what came of it. */
function wideBody(block, items, fields) {
  const id = `block-${block.name}`;
  const text = make("textarea", { id: `${id}-text`, rows: 4, spellcheck: false });
  const file = make("input", { id: `${id}-file`, type: "file", accept: ".csv,.tsv,.txt,.json,text/csv,application/json" });
  const row = make("select", { id: `${id}-row` });
  const rows = make("p", { hidden: true }, make("label", { htmlFor: row.id }, "Row of the table"), row);
  const status = make("p", { id: `${id}-status`, className: "status" });
  status.setAttribute("role", "status");
  for (const input of [text, file, row]) input.setAttribute("aria-describedby", status.id);
  let tables = [];
  const take = () => {
    status.textContent = filled(block, items, tables[Number(row.value) || 0]);
    complainOf(block, "");
  };
  const read = (given) => {
    rows.hidden = true;
    clear(items);
    try {
      tables = table(given);
    } catch (problem) {
      status.textContent = problem.message;
      return;
    }
    rows.hidden = tables.length < 2;
    row.replaceChildren(...tables.map((one, at) => make("option", { value: at }, rowName(one, items, at))));
    take();
  };
  text.addEventListener("input", () => {
    file.value = "";
    if (text.value.trim()) read(text.value);
    else { clear(items); rows.hidden = true; status.textContent = ""; }
  });
  file.addEventListener("change", async () => {
    if (!file.files.length) return;
    text.value = "";
    read(await file.files[0].text());
  });
  row.addEventListener("change", take);
  const single = make("details", { id: `${id}-single` }, make("summary", {}, `All ${items.length} values, one by one`), fields);
  return [
    make("label", { htmlFor: text.id }, `Paste the ${items.length} values: a row with its header, or JSON`),
    text,
    make("label", { htmlFor: file.id }, "Or choose a CSV file with these columns: it is read in this browser, and only the values are sent"),
    file,
    rows,
    status,
    single,
  ];
}

function clear(items) {
  for (const item of items) {
    find(`field-${item.name}`).value = "";
    complain(item.name, "");
    markProposal(item.name);
  }
}

/** Rows of a table or of JSON, each a Map from lower-case names to texts; throws where it is neither. */
function table(text) {
  const start = text.trim()[0];
  if (start === "{" || start === "[") {
    let parsed;
    try {
      parsed = JSON.parse(text);
    } catch {
      throw new Error("This begins like JSON and is not readable as such. Nothing was taken.");
    }
    const list = Array.isArray(parsed) ? parsed : [parsed];
    if (!list.length || list.some((one) => typeof one !== "object" || one === null || Array.isArray(one))) {
      throw new Error("JSON has to be an object of names and values, or a list of such objects. Nothing was taken.");
    }
    return list.map((one) => new Map(Object.entries(one).map(([key, value]) => [plainName(key), cell(value ?? "", ".")])));
  }
  const first = text.split(/\r?\n/, 1)[0];
  const sign = ["\t", ";", ","].reduce((best, one) => (first.split(one).length > first.split(best).length ? one : best));
  const lines = cells(text, sign).filter((line) => line.some((one) => one.trim()));
  if (lines.length < 2) throw new Error("One line only: the first line holds the names of the columns, the next the values.");
  const names = lines[0].map(plainName);
  const twice = names.find((name, at) => name && names.indexOf(name) !== at);
  if (twice) throw new Error("Two columns have the same name. Nothing was taken.");
  const uneven = lines.findIndex((line) => line.length !== names.length);
  if (uneven > 0) throw new Error(`Row ${uneven} has ${lines[uneven].length} cells, the header ${names.length}. Nothing was taken.`);
  return lines.slice(1).map((line) => new Map(names.map((name, at) => [name, cell(line[at], sign === "," ? "." : ",")])));
}

/** Lines of cells; a cell in quotes may hold signs and line breaks. */
function cells(text, sign) {
  const lines = [[""]];
  let quoted = false;
  const source = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  for (let at = 0; at < source.length; at += 1) {
    const letter = source[at];
    const line = lines[lines.length - 1];
    if (letter === '"') {
      if (quoted && source[at + 1] === '"') { line[line.length - 1] += '"'; at += 1; } else quoted = !quoted;
    } else if (letter === sign && !quoted) line.push("");
    else if (letter === "\n" && !quoted) lines.push([""]);
    else line[line.length - 1] += letter;
  }
  return lines;
}

const plainName = (name) => name.replace(/^\uFEFF/, "").trim().toLowerCase();

/** A cell as it would be typed: no word for a missing value, and a number without exponent. */
function cell(value, decimal) {
  const text = String(value).trim();
  if (EMPTY.has(text.toLowerCase())) return "";
  const number = Number(decimal === "," ? text.replace(",", ".") : text);
  if (!Number.isFinite(number)) return text;
  return number.toLocaleString("en", { useGrouping: false, maximumSignificantDigits: 17 });
}

/** Put a row into the fields; returns what is to be said of it. */
function filled(block, items, row) {
  const rest = new Set(row.keys());
  const lacking = [];
  let count = 0;
  for (const item of items) {
    const name = [item.name, item.column].map(plainName).find((one) => row.has(one));
    const input = find(`field-${item.name}`);
    input.value = name === undefined ? "" : row.get(name);
    complain(item.name, "");
    markProposal(item.name);
    rest.delete(name);
    if (input.value) count += 1;
    else if (!item.optional) lacking.push(item.name);
  }
  const said = [`${count} of ${items.length} values taken.`];
  if (lacking.length) said.push(`Missing: ${listed(lacking)}.`);
  if (rest.size) said.push(`${rest.size} other ${rest.size === 1 ? "column was" : "columns were"} left aside.`);
  return said.join(" ");
}

function listed(names) {
  return names.length > 6 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
}

/** A row by its number, and by its first cell that is none of the block's. */
function rowName(row, items, at) {
  const own = new Set(items.flatMap((item) => [plainName(item.name), plainName(item.column)]));
  const [, label] = [...row].find(([name, value]) => !own.has(name) && value) || [];
  return label ? `${at + 1}: ${label}` : String(at + 1);
}

function complainOf(block, text) {
  find(`block-${block.name}-error`).textContent = text;
  const input = outOf(block);
  if (input && text) input.setAttribute("aria-invalid", "true");
  else if (input) input.removeAttribute("aria-invalid");
}

/** The blocks of which nothing is given though they are not said to be missing; each is told so. */
function forgotten(patient) {
  const found = asked.blocks.filter(
    (block) => block.optional && !leftOut(block) && block.features.every((name) => patient[name] === undefined),
  );
  for (const block of found) {
    const please = block === pictureBlock() ? "make the picture" : "fill in";
    complainOf(block, `Please ${please}, or tick “${block.title}: not available”.`);
  }
  return found;
}

/** Make the field of a wide block visible, where it is folded away. */
function unfold(name) {
  const folded = find(`field-${name}`).closest("details");
  if (folded) folded.open = true;
}

/** Blocks as they were at first. */
function resetBlocks() {
  resetPicture();
  for (const block of asked.blocks) {
    find(`block-${block.name}-body`).hidden = false;
    complainOf(block, "");
    const [status, single, row] = ["status", "single", "row"].map((part) => find(`block-${block.name}-${part}`));
    if (!status) continue;
    status.textContent = "";
    single.open = false;
    row.parentElement.hidden = true;
  }
}
